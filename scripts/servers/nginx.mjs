// @ts-check
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../programs.mjs';
import { HOST, startOnFreePorts } from './free-ports.mjs';

/** @type {typeof import('../servers.mjs').startNginx} */
export async function startNginx(http, group) {
  const name = 'nginx';
  const home = group.makeFolder(name);
  return startOnFreePorts(1, async (port) => {
    const file = join(home, 'nginx.conf');
    writeFileSync(file, configuration(home, http(port)));
    const started = await group.launch({
      name,
      program: requireProgram('nginx'),
      // Until it has read its configuration it complains to a place of its own.
      args: ['-e', 'stderr', '-p', home, '-c', file],
      ready: /start worker processes/,
    });
    return { ...started, host: HOST, port };
  });
}

/**
 * In the foreground, with all of its files in its own folder.
 *
 * @param {string} home
 * @param {string} http
 */
function configuration(home, http) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  // Its folder is for the account alone that runs this; of root's, nginx would make nobody's.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
${user}
daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    ${temporary.map((kind) => `${kind}_temp_path ${home}/${kind};`).join('\n    ')}
    ${http}
}
`;
}
