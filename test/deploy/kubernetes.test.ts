import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { makeCertificateAuthority } from '../support/certificates.js';
import { cli, temporaryFolder } from '../support/cli.js';
import { ROOT } from '../support/documents.js';

const folder = join(ROOT, 'deploy/kubernetes');
const { resources, configMapGenerator } = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8'));

// biome-ignore lint/suspicious/noExplicitAny: its types are checked by the compiler, below
type Resource = any;
const objects: Resource[] = resources.flatMap((file: string) =>
  parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { version: '1.1' }).map((document) =>
    document.toJS(),
  ),
);
const pods: [name: string, spec: Resource][] = objects.flatMap((object) => {
  const template = object.spec?.jobTemplate?.spec.template ?? object.spec?.template;
  return template === undefined ? [] : [[object.metadata.name, template.spec]];
});
const named = (kind: string, name = 'jwtctl') =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);

test('lists every file', () => {
  const used = [...resources, ...configMapGenerator[0].files, 'kustomization.yaml'];
  expect(used.sort()).toEqual(readdirSync(folder).sort());
});

test('has only fields of the API, with values of the right type', () => {
  const types: Record<string, string> = { batch: 'batch/v1', apps: 'apps/v1', policy: 'policy/v1' };
  const source = objects.map((object, index) => {
    const group = types[object.apiVersion.split('/')[0]] ?? 'core/v1';
    const type = `import('kubernetes-types/${group}.d.ts').${object.kind}`;
    return `export const object${index}: ${type} = ${JSON.stringify(object, null, 1)};`;
  });
  const work = temporaryFolder();
  mkdirSync(join(work, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/kubernetes-types'), join(work, 'node_modules/kubernetes-types'));
  writeFileSync(join(work, 'objects.ts'), source.join('\n'));
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', ''];
  expect(compile([...flags, 'objects.ts'], work)).toBe('');
});

function compile(args: string[], cwd: string): string {
  try {
    return execFileSync(join(ROOT, 'node_modules/.bin/tsc'), args, { cwd, encoding: 'utf8' });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe.each(pods)('the pods of %s', (_, spec) => {
  test('meet the Pod Security Standard "restricted", and change nothing in their containers', () => {
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const { securityContext } of spec.containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    expect(spec.volumes.map((volume: object) => Object.keys(volume)[1])).toEqual(['configMap', 'secret']);
    expect([spec.hostNetwork, spec.hostPID, spec.hostIPC]).toEqual([undefined, undefined, undefined]);
  });

  test('have no token for the API, limited memory, and secrets that only their group can read', () => {
    expect(spec.automountServiceAccountToken).toBe(false);
    for (const { resources } of spec.containers) expect(resources.limits.memory).toBeDefined();
    const { secret } = spec.volumes.find(({ name }: { name: string }) => name === 'secrets');
    expect(secret.defaultMode).toBe(0o440);
    expect(spec.securityContext.fsGroup).toBe(spec.securityContext.runAsGroup);
  });
});

test('the jobs never overlap', () => {
  const jobs = objects.filter(({ kind }) => kind === 'CronJob');
  expect(jobs.map(({ spec }) => spec.jobTemplate.spec.template.spec.containers[0].args.join(' '))).toEqual([
    'keys rotate',
    'cache reconcile',
  ]);
  for (const { spec } of jobs) expect(spec.concurrencyPolicy).toBe('Forbid');
});

test('one pod of the server can always go, and never both', () => {
  const { spec } = named('Deployment');
  expect(spec.replicas).toBeGreaterThan(1);
  expect(named('PodDisruptionBudget').spec.maxUnavailable).toBe(1);
  for (const kind of ['PodDisruptionBudget']) {
    expect(named(kind).spec.selector.matchLabels).toEqual(spec.template.metadata.labels);
  }
  expect(named('Service').spec.selector).toEqual(spec.template.metadata.labels);
});

test('a store that is down makes a pod unready, but does not restart it', () => {
  const [server] = named('Deployment').spec.template.spec.containers;
  expect(server.readinessProbe.httpGet.path).toBe('/readyz');
  expect(server.livenessProbe.httpGet.path).toBe('/healthz');
});

describe('config.yaml', () => {
  const file = join(folder, 'config.yaml');

  test('is a valid configuration once the secrets are mounted', async () => {
    const mounted = temporaryFolder();
    for (const name of ['mysql-password', 'redis-password'])
      writeFileSync(join(mounted, name), 'x'.repeat(16), { mode: 0o400 });
    writeFileSync(join(mounted, 'master.key'), Buffer.alloc(32, 7).toString('base64'), { mode: 0o400 });
    copyFileSync(makeCertificateAuthority('CA').file, join(mounted, 'ca.pem'));
    const copy = join(temporaryFolder(), 'config.yaml');
    writeFileSync(copy, readFileSync(file, 'utf8').replaceAll('/etc/jwtctl/secrets', mounted), {
      mode: 0o600,
    });
    const { exitCode, stderr } = await cli().run('config', 'validate', '--config', copy);
    expect([exitCode, stderr]).toEqual([0, '']);
  });

  test('leaves the server time to stop before Kubernetes kills it', () => {
    const drain = Number.parseInt(parse(readFileSync(file, 'utf8')).serve.drain, 10);
    const { terminationGracePeriodSeconds } = named('Deployment').spec.template.spec;
    // The server kills a worker after serve.drain + 4 × timeout + 15 s.
    expect(terminationGracePeriodSeconds).toBeGreaterThan(drain + 4 * 5 + 15);
  });

  test('is mounted by itself, and its secrets where it says', () => {
    for (const [, spec] of pods) {
      const mounts = spec.containers[0].volumeMounts.map(({ mountPath, subPath }: Resource) => [
        mountPath,
        subPath,
      ]);
      expect(mounts).toEqual([
        ['/etc/jwtctl/config.yaml', 'config.yaml'],
        ['/etc/jwtctl/secrets', undefined],
      ]);
    }
  });
});
