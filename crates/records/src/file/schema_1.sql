-- Repeated texts. `uses` counts the rows that refer to a text, so that retention can remove it with the last of them.
CREATE TABLE registries (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL);
CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL);
CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL);
CREATE TABLE targets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    registry INTEGER NOT NULL,          -- registries.id
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,                  -- empty if asked by digest only
    digest BLOB NOT NULL,               -- bytes of the hash; empty if not known
    uses INTEGER NOT NULL,
    UNIQUE (registry, repository, tag, digest)
);

CREATE TABLE pulls (
    seq INTEGER PRIMARY KEY,            -- order of writing
    id BLOB NOT NULL UNIQUE,            -- UUIDv7
    start INTEGER NOT NULL,             -- ms since 1970
    duration INTEGER NOT NULL,          -- us
    registry INTEGER NOT NULL,          -- registries.id
    image INTEGER NOT NULL,             -- images.id
    client INTEGER NOT NULL,            -- clients.id
    agent INTEGER,                      -- agents.id
    node INTEGER,                       -- nodes.id
    outcome INTEGER NOT NULL,           -- hit joined miss stale challenged absent abandoned refused failed
    class TEXT,                         -- of the first failure
    stage TEXT,                         -- of the first failure
    codes TEXT NOT NULL,                -- upstream status codes: "200x12 429x1"
    stale INTEGER NOT NULL,             -- 0 or 1
    rescued INTEGER NOT NULL,           -- 0 or 1
    sent INTEGER NOT NULL,              -- bytes
    fetched INTEGER NOT NULL,           -- bytes
    bottleneck INTEGER NOT NULL,        -- position in Bottleneck::ALL
    held INTEGER NOT NULL,              -- us that the bottleneck took
    left_out INTEGER NOT NULL           -- objects beyond the bound of one record
);
-- Each of the first two indexes has every column of a filter and the order of an answer; the third finds the pulls of
-- rarely pulled images.
CREATE INDEX pulls_by_start ON pulls (start, seq, image, registry, node, outcome);
CREATE INDEX pulls_by_duration ON pulls (duration, seq, start, image, registry, node, outcome);
CREATE INDEX pulls_by_image ON pulls (image, start);

CREATE TABLE objects (
    id INTEGER PRIMARY KEY,             -- pulls.seq * 1024 + position
    kind INTEGER NOT NULL,              -- index manifest config layer other
    digest BLOB,                        -- bytes of the hash
    media_type,                         -- position in the list of known media types, or the text
    size INTEGER,                       -- bytes
    outcome INTEGER NOT NULL,           -- hit joined miss stale not_asked failed
    began INTEGER NOT NULL,             -- us since the start of the pull
    first_byte INTEGER NOT NULL,        -- us, as the next columns to `verify`
    transfer INTEGER NOT NULL,
    wait_fill INTEGER NOT NULL,
    wait_quota INTEGER NOT NULL,
    wait_slot INTEGER NOT NULL,
    wait_token INTEGER NOT NULL,
    up_resolve INTEGER NOT NULL,
    up_connect INTEGER NOT NULL,
    up_tls INTEGER NOT NULL,
    up_token INTEGER NOT NULL,
    up_first_byte INTEGER NOT NULL,
    up_transfer INTEGER NOT NULL,
    disk INTEGER NOT NULL,
    verify INTEGER NOT NULL,
    sent INTEGER,                       -- bytes; NULL if all of `size`
    fetched INTEGER,                    -- bytes; NULL if all of `size`
    resumes INTEGER NOT NULL
);

-- Sums by quarter of an hour (quarter = start / 900000), so that the cost of history and savings does not grow with the
-- number of pulls. They stay for max_age, even if max_size has removed the pulls.
CREATE TABLE quarters (
    quarter INTEGER NOT NULL,
    registry INTEGER NOT NULL,          -- registries.id
    pulls INTEGER NOT NULL,
    sent INTEGER NOT NULL,              -- bytes
    fetched INTEGER NOT NULL,           -- bytes
    saved_bytes INTEGER NOT NULL,
    saved_requests INTEGER NOT NULL,
    saved_pulls INTEGER NOT NULL,       -- pulls that count against a quota
    rescued INTEGER NOT NULL,
    first_byte BLOB NOT NULL,           -- histogram: us to the first byte of an object
    client_rate BLOB NOT NULL,          -- histogram: bytes per second to clients
    upstream_rate BLOB NOT NULL,        -- histogram: bytes per second from the upstream
    PRIMARY KEY (quarter, registry)
) WITHOUT ROWID;
CREATE TABLE quarter_outcomes (
    quarter INTEGER NOT NULL,
    registry INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    class TEXT NOT NULL,                -- empty if no failure was met
    pulls INTEGER NOT NULL,
    PRIMARY KEY (quarter, registry, outcome, class)
) WITHOUT ROWID;

CREATE TABLE verdicts (
    seq INTEGER PRIMARY KEY,
    registry INTEGER NOT NULL,          -- registries.id
    target INTEGER,                     -- targets.id; NULL for a probe of reach alone
    class TEXT,                         -- NULL if the probe went well
    stage TEXT,
    at INTEGER NOT NULL,                -- ms since 1970
    duration INTEGER NOT NULL           -- us
);
CREATE INDEX verdicts_by_time ON verdicts (at, seq, registry, class);

-- One row for each outage of a registry, current or past. No code writes this table yet.
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    registry INTEGER NOT NULL,          -- registries.id
    class TEXT NOT NULL,
    stage TEXT,
    began INTEGER NOT NULL,             -- ms since 1970
    last_seen INTEGER NOT NULL,         -- ms since 1970
    ended INTEGER,                      -- ms since 1970; NULL while it lasts
    pulls INTEGER NOT NULL,             -- pulls that met it
    probes INTEGER NOT NULL             -- verdicts that met it
);
CREATE INDEX incidents_by_time ON incidents (began);
CREATE INDEX incidents_open ON incidents (registry, class) WHERE ended IS NULL;

-- A readable list of pulls, for manual SQL queries.
CREATE VIEW pull_list AS
SELECT p.seq, lower(hex(p.id)) AS id, datetime(p.start / 1000.0, 'unixepoch') AS start, p.duration / 1e6 AS seconds,
    r.name || '/' || i.repository || iif(i.tag = '', '', ':' || i.tag) AS image, c.name AS client, n.name AS node,
    p.class, p.stage, p.codes, p.sent, p.fetched
FROM pulls p JOIN registries r ON r.id = p.registry JOIN images i ON i.id = p.image JOIN clients c ON c.id = p.client
LEFT JOIN nodes n ON n.id = p.node;
CREATE VIEW object_list AS
SELECT id / 1024 AS pull_seq, id % 1024 AS position, lower(hex(digest)) AS digest, size, began / 1e6 AS began_seconds,
    first_byte / 1e6 AS first_byte_seconds, transfer / 1e6 AS transfer_seconds, up_transfer / 1e6 AS upstream_seconds
FROM objects;
