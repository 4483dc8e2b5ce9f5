-- a failed endpoint's deliveries wait until it is reactivated; an unverified one has yet to prove that it wants any
ALTER TABLE endpoint ADD COLUMN failed_since INTEGER CHECK (failed_since >= 0);
ALTER TABLE endpoint ADD COLUMN unverified_since INTEGER CHECK (unverified_since >= 0);
ALTER TABLE endpoint ADD COLUMN verification TEXT CHECK (verification IN ('challenge', 'cloudevents'));
