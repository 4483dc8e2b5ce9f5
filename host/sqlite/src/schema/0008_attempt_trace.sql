-- where endpoints' deliveries went, once for each URL that an endpoint had, sealed: for some systems the URL is the secret
CREATE TABLE endpoint_address (
    number   INTEGER PRIMARY KEY NOT NULL,
    endpoint BLOB NOT NULL CHECK (length(endpoint) = 16),
    -- of the URL's hash
    address  INTEGER NOT NULL,
    url      BLOB NOT NULL,
    -- its endpoint was deleted; it goes with the last attempt
    is_gone  INTEGER NOT NULL DEFAULT 0 CHECK (is_gone IN (0, 1)),
    UNIQUE (endpoint, address)
) STRICT;
CREATE INDEX endpoint_address_gone ON endpoint_address (endpoint) WHERE is_gone = 1;

-- which of them; the URL itself, sealed, where a plugin or a composition named another
ALTER TABLE attempt ADD COLUMN address INTEGER;
ALTER TABLE attempt ADD COLUMN url BLOB;
-- what plugins logged and what was sent, sealed
ALTER TABLE attempt ADD COLUMN trace BLOB;
