-- Times are Unix seconds, identifiers opaque text, key material sealed under the master key.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE organizations (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    module_enabled INTEGER NOT NULL,
    device_cap     INTEGER NOT NULL,
    created        INTEGER NOT NULL
) STRICT;

CREATE TABLE operator_keys (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    created      INTEGER NOT NULL,
    revoked      INTEGER
) STRICT;

CREATE TABLE apps (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    name         TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    issuer       TEXT NOT NULL,
    audience     TEXT NOT NULL,
    jwks         TEXT NOT NULL
) STRICT;
CREATE INDEX apps_by_organization ON apps (organization);

CREATE TABLE sites (
    id            TEXT PRIMARY KEY,
    organization  TEXT NOT NULL REFERENCES organizations,
    name          TEXT NOT NULL,
    zone          TEXT NOT NULL,
    group_id      BLOB NOT NULL UNIQUE,
    resolving_key BLOB NOT NULL,
    key_hours     INTEGER NOT NULL,
    locked_down   INTEGER NOT NULL
) STRICT;
CREATE INDEX sites_by_organization ON sites (organization);

CREATE TABLE signing_keys (
    id                   TEXT PRIMARY KEY,
    organization         TEXT NOT NULL REFERENCES organizations,
    site                 TEXT REFERENCES sites,
    purpose              TEXT NOT NULL CHECK (purpose IN ('issuer', 'site-ca', 'audit')),
    state                TEXT NOT NULL CHECK (state IN ('standby', 'current', 'previous', 'retired')),
    public_key           BLOB NOT NULL,
    handle               BLOB NOT NULL,
    created              INTEGER NOT NULL,
    access_iteration     INTEGER NOT NULL,
    revocation_iteration INTEGER NOT NULL
) STRICT;
CREATE INDEX signing_keys_by_organization ON signing_keys (organization);

CREATE TABLE integrations (
    id            TEXT PRIMARY KEY,
    organization  TEXT NOT NULL REFERENCES organizations,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    connected     INTEGER NOT NULL,
    unlock_method TEXT NOT NULL CHECK (unlock_method IN ('native-methods', 'branded-app'))
) STRICT;
CREATE INDEX integrations_by_organization ON integrations (organization);

CREATE TABLE doors (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    site         TEXT NOT NULL REFERENCES sites,
    integration  TEXT NOT NULL REFERENCES integrations,
    name         TEXT NOT NULL,
    locked_down  INTEGER NOT NULL,
    policy       TEXT NOT NULL
) STRICT;
CREATE INDEX doors_by_organization ON doors (organization);

CREATE TABLE locks (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    site         TEXT NOT NULL REFERENCES sites,
    door         TEXT NOT NULL REFERENCES doors,
    number       INTEGER NOT NULL,
    sub_id       BLOB NOT NULL,
    reader_key   BLOB NOT NULL,
    issuers      TEXT NOT NULL,
    claimed      INTEGER NOT NULL,
    retired      INTEGER,
    UNIQUE (site, number),
    UNIQUE (site, sub_id)
) STRICT;
CREATE INDEX locks_by_organization ON locks (organization);
CREATE UNIQUE INDEX one_lock_on_a_door ON locks (door) WHERE retired IS NULL;

CREATE TABLE claim_codes (
    hash         BLOB PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    door         TEXT NOT NULL REFERENCES doors,
    expires      INTEGER NOT NULL
) STRICT;

CREATE TABLE access_groups (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    name         TEXT NOT NULL,
    doors        TEXT NOT NULL,
    whole_sites  TEXT NOT NULL,
    schedule     TEXT,
    restrictions TEXT NOT NULL,
    valid_from   INTEGER NOT NULL,
    valid_until  INTEGER NOT NULL
) STRICT;
CREATE INDEX access_groups_by_organization ON access_groups (organization);

CREATE TABLE members (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    subject      TEXT NOT NULL,
    name         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'ended')),
    confirmed    INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    UNIQUE (organization, subject)
) STRICT;

CREATE TABLE memberships (
    member       TEXT NOT NULL REFERENCES members,
    access_group TEXT NOT NULL REFERENCES access_groups,
    valid_from   INTEGER NOT NULL,
    valid_until  INTEGER NOT NULL,
    PRIMARY KEY (member, access_group)
) STRICT;
CREATE INDEX memberships_by_group ON memberships (access_group);

CREATE TABLE challenges (
    nonce   BLOB PRIMARY KEY,
    member  TEXT NOT NULL REFERENCES members,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    member       TEXT NOT NULL REFERENCES members,
    public_key   BLOB NOT NULL,
    credential   BLOB NOT NULL,
    name         TEXT NOT NULL,
    platform     TEXT NOT NULL,
    enrolled     INTEGER NOT NULL,
    is_primary   INTEGER NOT NULL,
    revoked      INTEGER
) STRICT;
CREATE INDEX devices_by_member ON devices (member);
CREATE INDEX devices_by_credential ON devices (organization, credential);
CREATE UNIQUE INDEX one_enrolment_of_a_key ON devices (public_key) WHERE revoked IS NULL;

CREATE TABLE access_keys (
    access_id    BLOB PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations,
    member       TEXT NOT NULL REFERENCES members,
    device       TEXT NOT NULL REFERENCES devices,
    site         TEXT NOT NULL REFERENCES sites,
    app          TEXT NOT NULL REFERENCES apps,
    iteration    INTEGER NOT NULL,
    signed       INTEGER NOT NULL,
    valid_until  INTEGER NOT NULL,
    rights       TEXT NOT NULL,
    revoked      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX access_keys_by_member ON access_keys (member);
CREATE INDEX access_keys_by_expiry ON access_keys (organization, valid_until);

CREATE TABLE revocations (
    site        TEXT NOT NULL REFERENCES sites,
    subject     BLOB NOT NULL,
    expires     INTEGER NOT NULL,
    revoked     INTEGER NOT NULL,
    PRIMARY KEY (site, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE revocation_documents (
    site        TEXT PRIMARY KEY REFERENCES sites,
    signing_key TEXT NOT NULL REFERENCES signing_keys,
    iteration   INTEGER NOT NULL,
    signed      INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    document    BLOB NOT NULL
) STRICT;

CREATE TABLE audit_records (
    lock   TEXT NOT NULL REFERENCES locks,
    number INTEGER NOT NULL,
    record BLOB NOT NULL,
    hash   BLOB NOT NULL,
    press  BLOB NOT NULL,
    stored INTEGER NOT NULL,
    PRIMARY KEY (lock, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_records_by_press ON audit_records (press);

CREATE TABLE ack_tokens (
    lock   TEXT PRIMARY KEY REFERENCES locks,
    number INTEGER NOT NULL,
    token  BLOB NOT NULL
) STRICT;

CREATE TABLE uses (
    access_id BLOB NOT NULL,
    member    TEXT NOT NULL REFERENCES members,
    lock      TEXT NOT NULL REFERENCES locks,
    count     INTEGER NOT NULL,
    PRIMARY KEY (access_id, lock)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_by_member ON uses (member);

CREATE TABLE presses (
    organization TEXT NOT NULL REFERENCES organizations,
    press        BLOB NOT NULL,
    member       TEXT,
    device       TEXT,
    door         TEXT,
    reported     TEXT,
    witnessed    TEXT,
    at           INTEGER NOT NULL,
    PRIMARY KEY (organization, press)
) STRICT;
CREATE INDEX presses_by_time ON presses (organization, at);

CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    organization TEXT NOT NULL REFERENCES organizations,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    member       TEXT,
    device       TEXT,
    door         TEXT,
    data         TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_organization ON events (organization, seq);

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit_records
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit_records
BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
