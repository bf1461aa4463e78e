-- What a provider calls a picture that was brought to it, so that it need not be brought again.
CREATE TABLE uploads (
    sha256 TEXT NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    named TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (sha256, provider, account)
) STRICT, WITHOUT ROWID;
