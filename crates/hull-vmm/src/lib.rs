//! Virtual machine monitors behind one trait: shapes, configurations, machines
