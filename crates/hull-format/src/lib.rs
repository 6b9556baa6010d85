//! Go-template subset, tables, units and times as Docker prints them
