// Without this, a worker whose vitest was killed would keep running its tests and the servers that it started.
process.once('disconnect', () => process.exit(1));
