-- what a version is for, what it says of itself, and who brought it
ALTER TABLE plugin_version ADD COLUMN world TEXT NOT NULL DEFAULT 'transform'
    CHECK (world IN ('transform', 'source', 'classifier'));
ALTER TABLE plugin_version ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE plugin_version ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE plugin_version ADD COLUMN uploaded_by TEXT NOT NULL DEFAULT '';
ALTER TABLE plugin_bytes ADD COLUMN imports TEXT NOT NULL DEFAULT '[]' CHECK (json_type(imports) = 'array');
ALTER TABLE plugin_bytes ADD COLUMN manifest BLOB;

-- the version of a plugin that is on trial
CREATE TABLE plugin_canary (
    plugin  TEXT PRIMARY KEY NOT NULL,
    digest  BLOB NOT NULL,
    percent INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 99),
    FOREIGN KEY (plugin, digest) REFERENCES plugin_version (plugin, digest)
) STRICT, WITHOUT ROWID;

-- the plugin that reads an endpoint's answers: {"plugin", "pinned", "settings"}
ALTER TABLE endpoint ADD COLUMN classifier TEXT CHECK (json_type(classifier) = 'object');
