-- whether runs of the endpoint's plugin share instances
ALTER TABLE endpoint ADD COLUMN plugin_instance TEXT NOT NULL DEFAULT 'fresh'
    CHECK (plugin_instance IN ('fresh', 'reused'));
