-- a failed endpoint's deliveries wait until it is reactivated; an unverified one has yet to prove that it wants any
ALTER TABLE endpoint ADD COLUMN failed_since INTEGER CHECK (failed_since >= 0);
ALTER TABLE endpoint ADD COLUMN unverified_since INTEGER CHECK (unverified_since >= 0);
ALTER TABLE endpoint ADD COLUMN verification TEXT CHECK (verification IN ('challenge', 'cloudevents'));

-- what composes an endpoint's requests, sealed: it holds the headers that the receiver wants
ALTER TABLE endpoint ADD COLUMN composition BLOB CHECK (composition IS NULL OR plugin IS NULL);
