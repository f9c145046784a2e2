// A worker whose vitest was killed would go on with its tests, and hold the servers that it has started.
process.once('disconnect', () => process.exit(1));
