//! Words that names are made of.

/// How it is.
#[rustfmt::skip]
pub(super) const LEFT: &[&str] = &[
    "able", "agile", "airy", "amber", "ample", "apt", "arctic", "balmy", "bold", "brave",
    "breezy", "bright", "brisk", "calm", "candid", "careful", "cheerful", "chipper", "clear",
    "clever", "coastal", "cosy", "crisp", "curious", "daring", "deft", "devoted", "distant",
    "dreamy", "eager", "early", "earnest", "easy", "elated", "epic", "fair", "famous",
    "fearless", "fervent", "fluent", "fond", "frank", "free", "fresh", "frosty", "gallant",
    "gentle", "gifted", "glad", "golden", "graceful", "grand", "grateful", "handy", "happy",
    "hardy", "hearty", "honest", "hopeful", "humble", "icy", "ideal", "inventive", "jolly",
    "jovial", "keen", "kind", "lasting", "light", "lively", "loyal", "lucid", "lucky", "lunar",
    "magnetic", "mellow", "merry", "mighty", "mild", "misty", "modest", "musical", "neat",
    "nimble", "noble", "northern", "novel", "open", "orderly", "patient", "peaceful", "plain",
    "playful", "pleasant", "plucky", "polite", "prompt", "proud", "pure", "quaint", "quick",
    "quiet", "radiant", "rapid", "ready", "refined", "robust", "rosy", "rugged", "rustic",
    "salty", "serene", "sharp", "shiny", "silent", "simple", "sincere", "sleek", "smart",
    "smooth", "snappy", "snug", "solar", "solid", "southern", "spry", "stable", "starry",
    "steady", "stellar", "still", "stout", "sturdy", "subtle", "sunny", "sure", "swift",
    "tactful", "tender", "thorough", "tidal", "tidy", "trusty", "upbeat", "useful", "valiant",
    "vast", "verdant", "vivid", "warm", "watchful", "western", "wise", "witty", "woody",
    "worthy", "young", "zealous", "zesty",
];

/// People of the sea, of exploration, and of computing.
#[rustfmt::skip]
pub(super) const RIGHT: &[&str] = &[
    "abel", "adams", "aiken", "albers", "allen", "amundsen", "anning", "archer", "argand",
    "atanasoff", "babbage", "baffin", "banach", "banks", "barents", "bartik", "bellman",
    "bering", "bernoulli", "blackwell", "booth", "borg", "bougainville", "bowditch", "boyd",
    "brent", "brooks", "brunel", "burckhardt", "cabot", "cantor", "cardano", "cartier",
    "cauchy", "cavendish", "cerf", "chappe", "church", "clairaut", "clarke", "codd", "comrie",
    "conway", "cook", "cooper", "cortot", "coxeter", "cray", "cugnot", "dahl", "dampier",
    "dantzig", "darby", "davis", "dean", "descartes", "dias", "dijkstra", "dirichlet", "drake",
    "earhart", "eckert", "elion", "engelbart", "erdos", "euler", "falkner", "farnsworth",
    "fermat", "fibonacci", "fitzroy", "flinders", "floyd", "forrester", "foster", "fourier",
    "frege", "frobisher", "galton", "gauss", "gilbert", "goldstine", "gosper", "grace",
    "graham", "gray", "hadfield", "hadley", "hamming", "hanno", "harrison", "heaviside",
    "hedin", "henson", "hero", "hilbert", "hoare", "hollerith", "hooke", "hudson", "huffman",
    "humboldt", "hurd", "iverson", "jacobi", "jacquard", "janszoon", "jevons", "johns",
    "juliana", "karnaugh", "kay", "kepler", "kernighan", "kilburn", "knuth", "kolmogorov",
    "lamarr", "lamport", "laplace", "leavitt", "leibniz", "lewis", "liddell", "liskov",
    "livingstone", "lorenz", "lovelace", "lukasiewicz", "lyell", "magellan", "maskelyne",
    "mauchly", "maury", "mccarthy", "mckinley", "mercator", "milne", "minsky", "moore",
    "morland", "murray", "nansen", "napier", "nearchus", "neumann", "newcomen", "newell",
    "nightingale", "noether", "nordenskiold", "noyce", "nygaard", "odhner", "ohm", "orellana",
    "oresme", "oughtred", "pacioli", "park", "parry", "pascal", "peary", "perlis", "perry",
    "planck", "poincare", "polo", "pytheas", "quevedo", "radcliffe", "raleigh", "rejewski",
    "riemann", "rios", "ritchie", "ross", "rossby", "sabine", "sammet", "scheutz", "schickard",
    "scott", "shackleton", "shannon", "shockley", "simon", "smeaton", "snyder", "solander",
    "somerville", "speke", "stevin", "stibitz", "stokes", "strachey", "sturt", "sutherland",
    "tasman", "taylor", "tereshkova", "thesiger", "thompson", "turing", "ulam", "vancouver",
    "vespucci", "viete", "wallis", "watt", "weddell", "wegener", "wheeler", "whitworth",
    "wiener", "wilkes", "wilkinson", "williams", "wirth", "wren", "wynn", "yonge", "zuse",
];
