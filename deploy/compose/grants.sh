#!/bin/sh
# Gives the account `jwtctl` only the rights that running jwtctl needs: it can add rows to the audit log, but cannot
# change them. Run after `jwtctl db migrate`, because the grants need the tables. The arguments are options of mysql.
set -eu
password=$(cat "$ACCOUNT_PASSWORD_FILE")

mysql "$@" <<SQL
CREATE USER IF NOT EXISTS jwtctl IDENTIFIED BY '$password';
ALTER USER jwtctl IDENTIFIED BY '$password' REQUIRE SSL;
GRANT SELECT, INSERT, UPDATE, DELETE ON jwtctl.keystore TO jwtctl;
GRANT SELECT, UPDATE ON jwtctl.keystore_revision TO jwtctl;
GRANT SELECT, INSERT, UPDATE, DELETE ON jwtctl.users TO jwtctl;
GRANT SELECT, INSERT, DELETE ON jwtctl.security_log TO jwtctl;
GRANT SELECT, INSERT ON jwtctl.audit_log TO jwtctl;
GRANT SELECT, UPDATE ON jwtctl.audit_head TO jwtctl;
GRANT SELECT, INSERT, UPDATE ON jwtctl.event_consumers TO jwtctl;
GRANT SELECT ON jwtctl.jwtctl_migration TO jwtctl;
SQL
