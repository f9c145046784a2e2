import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { type Config, type ConfigSources, loadConfig } from '../../src/config/load-config.js';
import type { JwtctlError } from '../../src/domain/shared/errors.js';

const opened: string[] = [];
afterAll(() => {
  for (const root of opened.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** A temporary folder with a home folder, a repository two levels deep, and a system file. */
export class Workspace {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'jwtctl-config-')));
  readonly home = join(this.root, 'home');
  readonly cwd = join(this.root, 'project', 'deep');
  readonly projectFile = join(this.root, 'project', 'jwtctl.yaml');
  readonly userFile = join(this.home, '.config', 'jwtctl', 'config.yaml');
  readonly systemFile = join(this.root, 'etc', 'config.yaml');

  constructor() {
    opened.push(this.root);
    mkdirSync(this.cwd, { recursive: true });
    mkdirSync(join(this.root, 'project', '.git'));
    mkdirSync(this.home, { recursive: true });
  }

  write(path: string, text: string, mode = 0o600): string {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  sources(more: Partial<ConfigSources> = {}): ConfigSources {
    return { env: {}, cwd: this.cwd, homeDir: this.home, systemFile: this.systemFile, ...more };
  }

  load(more: Partial<ConfigSources> = {}): Promise<Config> {
    return loadConfig(this.sources(more));
  }

  async refusal(more: Partial<ConfigSources> = {}): Promise<JwtctlError> {
    return this.load(more).then(
      () => {
        throw new Error('The configuration was accepted.');
      },
      (error: JwtctlError) => error,
    );
  }
}
