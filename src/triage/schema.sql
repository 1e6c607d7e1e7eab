-- Pictures that can be opened, by what their files hold.
CREATE TABLE pictures(
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL
) STRICT;
CREATE TABLE models(
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    labels TEXT NOT NULL
) STRICT;
-- Attacks as JSON; in a search for ε it is 0.
CREATE TABLE attacks(
    id INTEGER PRIMARY KEY,
    config TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE looks(
    picture INTEGER NOT NULL,
    model INTEGER NOT NULL,
    class INTEGER NOT NULL,
    confidence REAL NOT NULL,
    fakeness REAL,
    PRIMARY KEY(picture, model)
) STRICT, WITHOUT ROWID;
-- What an attack does depends also on the class that it leaves and on its noise.
CREATE TABLE attacked(
    picture INTEGER NOT NULL,
    model INTEGER NOT NULL,
    attack INTEGER NOT NULL,
    label INTEGER NOT NULL,
    noise INTEGER NOT NULL,
    class INTEGER NOT NULL,
    confidence REAL NOT NULL,
    linf REAL NOT NULL,
    l2 REAL NOT NULL,
    PRIMARY KEY(picture, model, attack, label, noise)
) STRICT, WITHOUT ROWID;
CREATE TABLE flips(
    picture INTEGER NOT NULL,
    model INTEGER NOT NULL,
    attack INTEGER NOT NULL,
    label INTEGER NOT NULL,
    noise INTEGER NOT NULL,
    low REAL NOT NULL,
    high REAL,
    tolerance REAL NOT NULL,
    PRIMARY KEY(picture, model, attack, label, noise)
) STRICT, WITHOUT ROWID;
-- Clean ones have the attack, label and noise 0.
CREATE TABLE representations(
    picture INTEGER NOT NULL,
    model INTEGER NOT NULL,
    attack INTEGER NOT NULL,
    label INTEGER NOT NULL,
    noise INTEGER NOT NULL,
    halves BLOB NOT NULL,
    PRIMARY KEY(picture, model, attack, label, noise)
) STRICT;
CREATE TABLE tags(
    picture INTEGER NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY(picture, tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE views(
    name TEXT PRIMARY KEY,
    query TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE scans(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    models TEXT NOT NULL,
    begun INTEGER NOT NULL,
    total INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    UNIQUE(plan, models)
) STRICT;
-- The pictures of a scan in the order of its source; number is the noise id of one that can be opened.
CREATE TABLE entries(
    scan INTEGER NOT NULL,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    label TEXT,
    picture INTEGER,
    number INTEGER,
    trouble TEXT,
    PRIMARY KEY(scan, position)
) STRICT, WITHOUT ROWID;
