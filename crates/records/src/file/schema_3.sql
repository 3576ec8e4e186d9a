-- The first form of this table was never written.
DROP TABLE incidents;
CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,            -- order of writing
    id BLOB NOT NULL UNIQUE,            -- UUIDv7
    registry INTEGER NOT NULL,          -- registries.id
    class TEXT NOT NULL,
    identity TEXT NOT NULL,             -- 'anonymous', 'client', an upstream, or 'pull-secret NAMESPACE/NAME'
    stage TEXT,                         -- of the first failure
    evidence TEXT,                      -- of the first failure
    began INTEGER NOT NULL,             -- ms since 1970
    last_seen INTEGER NOT NULL,         -- ms since 1970
    ended INTEGER,                      -- ms since 1970; NULL while it lasts
    resolved TEXT,                      -- probe pull other_class silence removed; NULL while it lasts
    resolved_by TEXT,                   -- the image that succeeded, or the class that followed
    probes INTEGER NOT NULL,            -- probes that failed with it
    pulls INTEGER NOT NULL,             -- pulls that failed with it
    again INTEGER NOT NULL,             -- times that it went on after its end
    images TEXT NOT NULL,               -- one a line, as the next two; an empty last line stands for more
    workloads TEXT NOT NULL,
    nodes TEXT NOT NULL
);
CREATE INDEX incidents_by_time ON incidents (began, seq, registry, class, ended);
CREATE INDEX incidents_open ON incidents (began) WHERE ended IS NULL;
CREATE VIEW incident_list AS
SELECT lower(hex(i.id)) AS id, r.name AS registry, i.class, i.identity, datetime(i.began / 1000.0, 'unixepoch') AS began,
    datetime(i.ended / 1000.0, 'unixepoch') AS ended, i.resolved, i.probes, i.pulls, i.evidence
FROM incidents i JOIN registries r ON r.id = i.registry;
