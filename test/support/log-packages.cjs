// For `node --require`: appends the packages of every script of the built command line to the file named by PACKAGE_LOG.
const { appendFileSync } = require('node:fs');
const vm = require('node:vm');

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    const names = [...source.matchAll(/^\/\/ packages: (.+)$/gm)].flatMap(([, list]) => list.split(' '));
    appendFileSync(process.env.PACKAGE_LOG, ['(script)', ...names].map((name) => `${name}\n`).join(''));
  }
};
