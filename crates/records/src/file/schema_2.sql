-- Probes by registry and quarter of an hour, so that a history does not read each verdict.
CREATE TABLE quarter_probes (
    quarter INTEGER NOT NULL,
    registry INTEGER NOT NULL,          -- registries.id
    class TEXT NOT NULL,                -- empty if the probe went well
    probes INTEGER NOT NULL,
    PRIMARY KEY (quarter, registry, class)
) WITHOUT ROWID;
