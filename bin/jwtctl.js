#!/usr/bin/env node
if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { version } = require('../package.json');
  process.stdout.write(`${version}\n`);
} else {
  run();
}

async function run() {
  const { openBundle } = require('./bundle.js');
  const bundle = openBundle(require('node:path').join(__dirname, '../dist/cli'));
  const { main } = bundle.load('./main.js');
  const interruption = new AbortController();
  process.on('SIGINT', () => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
  const io = {
    // Node takes milliseconds to open a stream.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return outliving('stdout');
    },
    get stderr() {
      return outliving('stderr');
    },
    env: process.env,
    cwd: process.cwd(),
  };
  process.exitCode = await main(process.argv.slice(2), io, interruption.signal);
  bundle.save();
}

const opened = {};

/** A reader that goes away is reported by the write itself. Without a listener, it would also end the process loudly. */
function outliving(name) {
  opened[name] ??= process[name].on('error', () => {});
  return opened[name];
}
