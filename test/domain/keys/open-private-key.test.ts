import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { activateKey } from '../../../src/domain/keys/activate.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { toPrivateKey } from '../../../src/domain/keys/open-private-key.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import {
  type RotationOutcome,
  type RotationPorts,
  rotateAfterLead,
  rotateKeys,
} from '../../../src/domain/keys/rotate.js';
import type { RotationPolicy } from '../../../src/domain/keys/rotation-plan.js';
import type { SigningKey } from '../../../src/domain/model/signing-key.js';
import type { Sealer } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { newSealer, runKeyringCommand } from '../../support/sealer.js';

const DAY = 86_400;
const LEAD = 600;
const ROTATION: RotationPolicy = {
  ...{
    rotateAfterSeconds: 30 * DAY,
    publishLeadSeconds: LEAD,
    isForced: false,
    keepsLead: false,
    leavesStragglers: false,
    needsFleet: false,
  },
  ...{ maxTtlSeconds: POLICY.maxTtlSeconds, clockToleranceSeconds: POLICY.clockToleranceSeconds },
};
const MADE = { alg: 'RS256', bits: 2048 } as const;

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

/** Returns a sealer with its own master key, as a host with another keyring has it. */
const sealerOfOtherHost = () =>
  newSealer({ kind: 'value', text: randomBytes(32).toString('base64') }, service.clock);

async function publish(kid: string, sealer = service.ports.sealer): Promise<void> {
  const input = { ...MADE, kid, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds };
  await generateKeys({ ...service.ports, sealer }, input);
}

const rotation = (policy: Partial<RotationPolicy> = {}, dryRun = false) => ({
  ...MADE,
  dryRun,
  policy: { ...ROTATION, ...policy },
});

/** An operation that makes `k2` active. */
type Promotion = (ports?: RotationPorts) => Promise<unknown>;
const activate: Promotion = (ports = service.ports) =>
  activateKey(ports, { kid: 'k2', policy: ROTATION, now: true, dryRun: false, ...MADE });
const rotateNow: Promotion = (ports = service.ports) => rotateKeys(ports, rotation({ isForced: true }));
const rotateDue: Promotion = (ports = service.ports) => {
  service.clock.advance(30 * DAY);
  return rotateKeys(ports, rotation());
};
const PROMOTIONS = { activate, rotateNow, rotateDue };

/** Returns the ports, with `work` called before a private key is opened. */
function beforeOpening(work: (kid: string) => unknown, sealer: Sealer = service.ports.sealer): RotationPorts {
  const open: Sealer['open'] = async (kid, sealed) => {
    await work(kid);
    return sealer.open(kid, sealed);
  };
  const seal: Sealer['seal'] = (kid, pkcs8) => sealer.seal(kid, pkcs8);
  const [sealingKeyId, openingKeyId] = [() => sealer.sealingKeyId(), () => ''];
  const assertSeals = () => sealer.assertSeals();
  return { ...service.ports, sealer: { seal, assertSeals, open, sealingKeyId, openingKeyId } };
}

function countOpenings(): { ports: RotationPorts; opened: string[] } {
  const opened: string[] = [];
  return { ports: beforeOpening((kid) => opened.push(kid)), opened };
}

const states = async () =>
  (await service.database.keys.snapshot()).keys.map(({ kid, state }) => `${kid} ${state}`);
const changeRow = (values: { private_key?: string | null; public_key?: string }) =>
  service.db.updateTable('keystore').set(values).where('kid', '=', 'k2').execute();

describe.each(Object.entries(PROMOTIONS))('promoting a pending key by %s', (_name, promote) => {
  /** Expects an error, unchanged keys, and that tokens are still issued. */
  async function refusal(ports?: RotationPorts): Promise<JwtctlError> {
    const before = await service.database.keys.snapshot();
    const error = await promote(ports).then(
      () => new Error('Promoted.'),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(JwtctlError);
    expect(await service.database.keys.snapshot()).toEqual(before);
    expect((await service.issueTo('alice')).kid).toBe('k1');
    return error as JwtctlError;
  }

  test('opens it once before it signs', async () => {
    await publish('k2');
    const { ports, opened } = countOpenings();
    await promote(ports);
    expect(opened).toEqual(['k2']);
    expect((await states()).slice(0, 2)).toEqual(['k1 retiring', 'k2 active']);
  });

  test('fails with a hint if the keyring lacks its master key, and keeps the active key', async () => {
    await publish('k2', sealerOfOtherHost());
    const { kind, code, message, hint } = await refusal();
    expect([kind, code]).toEqual(['state', 'ERR_MASTER_KEY_UNKNOWN']);
    expect(message).toMatch(/^Key k2 cannot become active: .*master key/);
    expect(hint).toMatch(/Add the missing key .*`jwtctl keys retire k2`/);
  });

  test('fails if the vault is unreachable', async () => {
    await publish('k2');
    const vault = newSealer(
      { kind: 'command', run: () => runKeyringCommand('exit 3', 5_000) },
      service.clock,
    );
    const { kind, code } = await refusal({ ...service.ports, sealer: vault });
    expect([kind, code]).toEqual(['unavailable', 'ERR_MASTER_KEY_COMMAND_FAILED']);
  });

  test('fails if another program changed its row', async () => {
    await publish('k2');
    const { public_key, private_key } = await service.db
      .selectFrom('keystore')
      .select(['public_key', 'private_key'])
      .where('kid', '=', 'k2')
      .executeTakeFirstOrThrow();
    const [first] = (await service.database.keys.snapshot()).keys;
    for (const [values, code] of [
      [{ public_key: first?.publicKey ?? '' }, 'ERR_KEY_PAIR_MISMATCH'],
      [{ private_key: await service.database.keys.findSealed('k1') }, 'ERR_DECRYPTION_FAILED'],
      [{ private_key: null }, 'ERR_PRIVATE_KEY_MISSING'],
    ] as const) {
      await changeRow({ public_key, private_key, ...values });
      expect(await refusal()).toMatchObject({ kind: 'state', code });
    }
  });
});

describe('rotate', () => {
  test('opens no key if none is promoted', async () => {
    await publish('k2', sealerOfOtherHost());
    const { ports, opened } = countOpenings();
    expect(await rotateKeys(ports, rotation())).toMatchObject({ reason: 'not_due' });
    const lead = rotation({ rotateAfterSeconds: 1, publishLeadSeconds: 40 * DAY });
    service.clock.advance(2);
    expect(await rotateKeys(ports, lead)).toMatchObject({ reason: 'waiting' });
    expect(opened).toEqual([]);
  });

  test('opens the key once although it plans several times', async () => {
    await publish('k2');
    const { ports, opened } = countOpenings();
    let raises = 0;
    const generator: typeof ports.generator = {
      generate: async (bits) => {
        raises += 1;
        if (raises < 3) await service.database.keys.raiseMaxTtl('k1', POLICY.maxTtlSeconds + raises);
        return ports.generator.generate(bits);
      },
    };
    expect(await rotateNow({ ...ports, generator })).toMatchObject({ rotated: true, active: 'k2' });
    // More often if a generated thumbprint is not a valid kid.
    expect(raises).toBeGreaterThanOrEqual(3);
    expect(opened).toEqual(['k2']);
  });

  test('opens the key once, after the publish lead', async () => {
    const { ports, opened } = countOpenings();
    const outcome = await rotateAfterLead(
      ports,
      rotation({ isForced: true, keepsLead: true }),
      async ({ signsFrom }) => {
        expect(opened).toEqual([]);
        service.clock.advance(signsFrom - service.clock.now());
      },
    );
    expect(outcome.rotated).toBe(true);
    expect(opened).toEqual([outcome.active]);
  });

  test('reports a lost race if another host activated the key that does not open here', async () => {
    await publish('k2');
    const outcome = await rotateNow(beforeOpening(() => rotateNow(), sealerOfOtherHost()));
    expect(outcome).toMatchObject({ rotated: false, reason: 'lost_race', active: 'k2' });
  });

  test('takes another key if the one that does not open was retired meanwhile', async () => {
    await publish('k2', sealerOfOtherHost());
    const retireNext = () =>
      retireKey(service.ports, { kid: 'k2', force: false, dryRun: false, clockToleranceSeconds: 0 });
    const outcome = (await rotateNow(beforeOpening(retireNext))) as RotationOutcome;
    expect(outcome).toMatchObject({ rotated: true, reason: 'forced', previous: 'k1' });
    expect(outcome.active).not.toBe('k2');
  });

  test('opens a key that becomes due during the run before it signs', async () => {
    await publish('k2');
    await publish('k3', sealerOfOtherHost());
    await publish('k4');
    await rotateNow();
    // k1 can be retired, and k3 is due one second after the plan was made. Neither needs a new key.
    service.clock.advance(30 * DAY - 1);
    let reads = 0;
    const now = () => service.clock.now() + Number(++reads > 1);
    const ports = { ...service.ports, clock: { ...service.clock, now } };
    await expect(rotateKeys(ports, rotation())).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_UNKNOWN' });
    expect(await states()).toEqual(['k1 retiring', 'k2 active', 'k3 pending', 'k4 pending']);
  });
});

describe('rotate on a host with another keyring', () => {
  test('publishes no key and changes nothing', async () => {
    const before = await states();
    const ports = { ...service.ports, sealer: sealerOfOtherHost() };
    await expect(rotateKeys(ports, rotation())).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_MASTER_KEY_UNKNOWN',
      message: expect.stringMatching(/No key was generated/),
    });
    expect(await states()).toEqual(before);
  });

  test('performs the same checks in a dry run', async () => {
    await publish('k2', sealerOfOtherHost());
    await expect(rotateKeys(service.ports, rotation({ isForced: true }, true))).rejects.toMatchObject({
      code: 'ERR_MASTER_KEY_UNKNOWN',
    });
    await retireKey(service.ports, { kid: 'k2', force: false, dryRun: false, clockToleranceSeconds: 0 });
    const vault = newSealer(
      { kind: 'command', run: () => runKeyringCommand('exit 3', 5_000) },
      service.clock,
    );
    const ports = { ...service.ports, sealer: vault };
    for (const policy of [{ isForced: true }, {}]) {
      await expect(rotateKeys(ports, rotation(policy, true))).rejects.toMatchObject({
        code: 'ERR_MASTER_KEY_COMMAND_FAILED',
      });
    }
  });

  test('rotates when forced, because the master key may be lost', async () => {
    const ports = { ...service.ports, sealer: sealerOfOtherHost() };
    expect(await rotateKeys(ports, rotation({ isForced: true }))).toMatchObject({ rotated: true });
  });
});

describe('activate', () => {
  test('opens no key for the active key', async () => {
    const { ports, opened } = countOpenings();
    await activateKey(ports, { policy: ROTATION, now: true, ...MADE, kid: 'k1', dryRun: false });
    expect(opened).toEqual([]);
  });

  test('performs the same checks in a dry run', async () => {
    await publish('k2', sealerOfOtherHost());
    const input = { policy: ROTATION, now: true, ...MADE, kid: 'k2', dryRun: true };
    await expect(activateKey(service.ports, input)).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_UNKNOWN' });
  });

  test('succeeds if another host activated the key that does not open here', async () => {
    await publish('k2');
    expect(await activate(beforeOpening(() => activate(), sealerOfOtherHost()))).toMatchObject({
      key: { kid: 'k2', state: 'active' },
    });
  });
});

test('a sealed text that is no private key is an error of the key', () => {
  expect(() => toPrivateKey({ kid: 'k1' } as SigningKey, Buffer.from('not a key'))).toThrow(
    expect.objectContaining({ code: 'ERR_KEY_PAIR_MISMATCH', kind: 'state' }),
  );
});
