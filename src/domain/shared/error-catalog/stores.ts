import { notFound, partial, state, unavailable, usage } from './entry.js';

export const STORES_ERRORS = {
  ERR_COUNT_INCOMPLETE: partial(
    'Part of the registry cannot be read, so the number of live tokens that the key signed is unknown.',
    'Run the command again when all Redis masters can be reached, or pass `--force` to continue without the number.',
  ),
  ERR_AUDIT_LOG_FAULTY: state(
    'A row of the audit log was changed, removed, or inserted, so the log is not pruned.',
    'Run `jwtctl audit verify` to see the rows, and export the log. To prune it anyway, add `--force`.',
  ),
  ERR_DATABASE_BEHIND: state(
    'The database lacks earlier changes, because it was restored from a backup or is an old primary.',
    'Run `jwtctl db recover` to list the missing changes, then run it again with `--reapply` or `--accept`.',
  ),
  ERR_DATABASE_CONFLICT: unavailable(
    'Other transactions changed the same rows or held locks for too long.',
    'Run the same command again. If the error persists, look for a long transaction on the tables of jwtctl.',
  ),
  ERR_DATABASE_DAMAGED: state(
    'The only row of `audit_head` or `keystore_revision` is missing, or holds a number that is out of range, because another program deleted or changed the row.',
    'Restore the row as `docs/operations.md` describes under "Restore a damaged row". Until then, no change is possible, including revocations.',
  ),
  ERR_DATABASE_STALE: unavailable(
    'MySQL lacks changes that Redis has recorded, so a key or user that MySQL does not have may exist.',
    'Try again in a few seconds. If the error persists, run `jwtctl db recover`.',
  ),
  ERR_DATABASE_UNCONFIRMED: unavailable(
    'MySQL is read-only, and no high-water mark in Redis shows that this MySQL server has all changes. The server may be an old primary.',
    'Point `mysql.url` at the primary. If the verifier reads from a replica on purpose, check that it replicates, and change a key or revoke a token on the primary. Either change writes a mark to Redis.',
  ),
  ERR_DATABASE_UNKNOWN: notFound(
    'The MySQL server has no database with this name.',
    'Create the database, then run `jwtctl db migrate`.',
  ),
  ERR_DATA_FILE_INVALID: state(
    'The data file is not an intact SQLite database.',
    'Set `data` (`JWTCTL_DATA`) to another file, or restore this one from a backup.',
  ),
  ERR_DATA_FILE_UNAVAILABLE: unavailable(
    'The data file or its folder cannot be opened, created, or written.',
    'Set `data` (`JWTCTL_DATA`) to a file that this account can write, and check that the disk has room.',
  ),
  ERR_DUPLICATE_KEY: state(
    'The database refused a new row, because another row has the same value in a primary key or unique index.',
    'Another command may have just written that row. Run the same command again.',
  ),
  ERR_ENTRY_AMBIGUOUS: state(
    'Several live tokens of the subject have this `jti`.',
    'Select one with `--kid`. If they have the same key, also pass `--iat`.',
  ),
  ERR_ENTRY_NOT_FOUND: notFound(
    'The registry has no live token of this subject with this `jti`.',
    'Run `jwtctl token list --sub SUB` to see the live tokens of the subject.',
  ),
  ERR_FLEET_UNAVAILABLE: unavailable(
    'The list of running verifiers cannot be read from Redis, so the next key does not sign yet.',
    'Run the same command again when Redis can be reached, or pass `--force` to continue without the list.',
  ),
  ERR_MIGRATION_RUNNING: unavailable(
    'Another `jwtctl db migrate` is changing the tables of this database.',
    'Wait until it has finished, then run `jwtctl db migrate` again.',
  ),
  ERR_MYSQL_AUTH: unavailable(
    'MySQL refused the login.',
    'Check the user and the database in `mysql.url`, the password, and the client certificate if the account requires one.',
  ),
  ERR_MYSQL_FORBIDDEN: unavailable(
    'The MySQL account lacks a privilege.',
    'Grant the privilege that the message names. `docs/storage.md` has the full list.',
  ),
  ERR_MYSQL_LIMIT_REACHED: unavailable(
    'The MySQL server reached a limit on disk space, connections, memory, or query time.',
    'Find the limit in the log of the MySQL server, then raise the limit or free the resource.',
  ),
  ERR_MYSQL_READ_ONLY: unavailable(
    'The MySQL server rejects writes, because it is a replica or is failing over.',
    'Set `mysql.url` to the primary, or try again after the failover.',
  ),
  ERR_MYSQL_REFUSED: unavailable(
    'The server refused the connection during the handshake.',
    'Check that `mysql.url` points to MySQL or MariaDB, and check the log of the server or proxy.',
  ),
  ERR_MYSQL_SESSION_REFUSED: unavailable(
    'The MySQL server or a proxy refused the session settings that jwtctl needs.',
    'Configure the proxy to allow setting the isolation level, `sql_mode`, and the lock wait timeouts.',
  ),
  ERR_MYSQL_TLS: unavailable(
    'The TLS connection to MySQL failed.',
    'Check the `mysql.tls` settings and the certificate of the server.',
  ),
  ERR_MYSQL_UNREACHABLE: unavailable(
    'MySQL cannot be reached or does not respond in time.',
    'Check the host and port in `mysql.url`, and check that the server is running. `--timeout` sets the time limit.',
  ),
  ERR_NO_STORE: state(
    'No MySQL and Redis servers are configured, and no embedded store exists.',
    'Set `mysql.url` and `redis.nodes` (`jwtctl config path` lists the configuration files), or run `jwtctl keys generate` to create an embedded store.',
  ),
  ERR_POSITION_PRUNED: state(
    '`audit prune` removed rows after this position, so you may have missed events.',
    'Continue with the oldest position, which the message names, or with `--from 0`. Then compare your data with the current state of the installation.',
  ),
  ERR_POSITION_UNKNOWN: state(
    'The audit log has no such position: it is from another database, or the database was restored from a backup.',
    'To begin with the oldest event, run the command with `--from 0`. To get only new events, run `jwtctl events follow` without `--from`, or `jwtctl events deliver --from <seq>` with the number of the row that `jwtctl audit list --limit 1` prints.',
  ),
  ERR_RECORDED_NOT_APPLIED: unavailable(
    'The change is recorded in the security log, so verifiers apply it, but Redis could not be updated. The message says whether tokens stay valid until you repeat the command.',
    'Run the same command again when Redis can be reached.',
  ),
  ERR_RECOVERY_CONFLICT: state(
    'Another process recovered the database at the same time, so this one changed nothing.',
    'Run `jwtctl db recover` to see whether changes are still missing.',
  ),
  ERR_REDIS_AUTH: unavailable(
    'Redis refused the login.',
    'Check `redis.username` and the Redis password (`JWTCTL_REDIS_USERNAME`, `JWTCTL_REDIS_PASSWORD`).',
  ),
  ERR_REDIS_CLUSTER_DOWN: unavailable(
    'The Redis Cluster does not serve all hash slots, or is failing over.',
    'Try again after the failover, or run `redis-cli cluster info` on a node.',
  ),
  ERR_REDIS_FORBIDDEN: unavailable(
    'The Redis account lacks permission to run a command that jwtctl uses, or to access a key that it needs.',
    'Grant the missing permission on every node with `ACL SETUSER`. `docs/redis-acl.md` has the full list.',
  ),
  ERR_REDIS_IS_A_REPLICA: unavailable(
    'The Redis server is a replica, which rejects writes and may lag behind.',
    'Set `redis.nodes` (`JWTCTL_REDIS_NODES`) to the address of the master.',
  ),
  ERR_REDIS_MASTER_UNKNOWN: usage(
    'The Sentinels do not watch a master with the name in `redis.sentinelMaster`.',
    'Set `redis.sentinelMaster` (`JWTCTL_REDIS_SENTINEL_MASTER`) to a name that `redis-cli -p 26379 sentinel masters` lists.',
  ),
  ERR_REDIS_MODE_MISMATCH: usage(
    'The Redis server does not run in the mode that `redis.mode` names.',
    'Set `redis.mode` (`JWTCTL_REDIS_MODE`) or `redis.nodes` (`JWTCTL_REDIS_NODES`) as the message says.',
  ),
  ERR_REDIS_NOT_READY: unavailable(
    'The Redis server is loading its data, running a script, or refusing writes.',
    'Try again later, or run `redis-cli info` on the server to find the cause.',
  ),
  ERR_REDIS_OUT_OF_MEMORY: unavailable(
    'Redis has reached its `maxmemory`, so no token can be registered.',
    'Raise `maxmemory`, or add masters to the cluster.',
  ),
  ERR_REDIS_OVERLOADED: unavailable(
    'Too many requests to a Redis master are waiting for a reply.',
    'Try again in a moment, or spread the load over more processes.',
  ),
  ERR_REDIS_PREFIX_IN_USE: state(
    "Another installation uses this prefix in Redis: the high-water mark there cannot be verified with this installation's keyring, and does not match its audit log.",
    'Choose another `redis.prefix` (`JWTCTL_REDIS_PREFIX`). If it is the same installation, set `masterKey.file` to a copy of its keyring.',
  ),
  ERR_REDIS_RESTARTED: unavailable(
    'A Redis master has just restarted, and may have lost tokens that its replica still has.',
    'Try again in 30 seconds. By then, a replica has taken over, or the master keeps its hash slots.',
  ),
  ERR_REDIS_TLS: unavailable(
    'The TLS connection to Redis failed.',
    'Check the `redis.tls` settings and the certificate of the server.',
  ),
  ERR_REDIS_UNEXPECTED_REPLY: unavailable(
    'Redis returned an error or a reply that jwtctl does not expect.',
    'Check that the server is Redis 7.0 or newer, or Valkey 8 or newer, and that it can run Lua scripts.',
  ),
  ERR_REDIS_UNREACHABLE: unavailable(
    'Redis cannot be reached or does not respond in time.',
    'Check `redis.nodes` (`JWTCTL_REDIS_NODES`), the network, and the `redis.tls` settings.',
  ),
  ERR_REDIS_WRONG_TYPE: state(
    'A Redis key under the prefix of jwtctl has a value of another type, so another program must have written it.',
    'Find the program that uses the key, or choose another `redis.prefix` (`JWTCTL_REDIS_PREFIX`).',
  ),
  ERR_REVOCATION_IN_FUTURE: state(
    'A revocation covers the tokens of this subject up to a time in the future, because the clock of a host is wrong.',
    'Correct the clock of this host and of the host that revoked the tokens.',
  ),
  ERR_SCHEMA_DAMAGED: state(
    'The table `jwtctl_migration` lacks a migration, because another program changed the table.',
    'Restore the rows of `jwtctl_migration` from a backup.',
  ),
  ERR_SCHEMA_MISMATCH: state(
    'A table or a column that jwtctl needs is missing.',
    'Run `jwtctl db status` to see what is missing. Restore a missing table of jwtctl from a backup. For your own user table, correct `users.table`, `users.column`, or `users.enabledWhere`.',
  ),
  ERR_SCHEMA_NEWER: state('A newer version of jwtctl migrated the database.', 'Update jwtctl on this host.'),
  ERR_SCHEMA_OUTDATED: state(
    'The database lacks migrations of this version of jwtctl.',
    'Run `jwtctl db migrate`.',
  ),
  ERR_TABLE_EXISTS: state(
    'The database has a table with a name that jwtctl needs, but jwtctl did not create that table.',
    'Give jwtctl a database of its own, or set `mysql.tablePrefix`. If your users are in this database, jwtctl can still read them: set `users.table`, for example to `app.users`.',
  ),
  ERR_EVENTS_DELIVERED_ELSEWHERE: state(
    'Another process is delivering events, so `--from` of `jwtctl events deliver` did not change the position.',
    'Stop `jwtctl serve` on every host, and wait for other runs of `jwtctl events deliver` to end. Then run the command again. After a process was killed, wait for `hooks.timeout` plus 30 seconds.',
  ),
  ERR_HEARTBEAT_TOO_LONG: state(
    'The heartbeat of a verifier is too long to be read, so commands do not wait for this verifier.',
    'Run `jwtctl keys list`, and retire pending keys that are not needed.',
  ),
  ERR_TOO_MANY_HEARTBEATS: state(
    'The Redis key with the heartbeats of the verifiers holds too much data to be read.',
    'Find the client that writes the excess data to this key, and stop it. Then delete the key. Verifiers report again automatically.',
  ),
  ERR_VERIFIER_GRACE_EXCEEDED: unavailable(
    "The database has not responded for longer than `verifier.grace`, so the verifier's keys and revocations are out of date.",
    'Restore access to MySQL, or raise `verifier.grace` (`JWTCTL_VERIFIER_GRACE`).',
  ),
  ERR_ISSUER_OVERLOADED: unavailable(
    'Too many requests for new tokens are waiting, so the server refuses more.',
    'Try again in a moment. If the error persists, check whether a store is slow, or add workers with `--workers`.',
  ),
  ERR_VERIFIER_OVERLOADED: unavailable(
    'Too many verifications are waiting for the database to return a key or a user.',
    'Try again in a moment. If the error persists, check whether the database is slow, and whether clients send tokens with unknown keys.',
  ),
};
