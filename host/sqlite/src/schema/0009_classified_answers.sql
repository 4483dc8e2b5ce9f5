-- which answers of receivers a classifier is asked about
ALTER TABLE plugin_version ADD COLUMN answers TEXT NOT NULL DEFAULT 'successes'
    CHECK (answers IN ('successes', 'all'));
