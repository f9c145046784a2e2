import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { activateKey } from '../../../src/domain/keys/activate.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import {
  type RotationOutcome,
  type RotationPorts,
  rotateAfterLead,
  rotateKeys,
} from '../../../src/domain/keys/rotate.js';
import type { RotationPolicy } from '../../../src/domain/keys/rotation-plan.js';
import type { Sealer } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { newSealer } from '../../support/sealer.js';

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

/** Where a master key is known that no other host has. */
const stranger = () => newSealer({ kind: 'value', text: randomBytes(32).toString('base64') }, service.clock);

async function publish(kid: string, sealer = service.ports.sealer): Promise<void> {
  const input = { ...MADE, kid, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds };
  await generateKeys({ ...service.ports, sealer }, input);
}

const rotation = (policy: Partial<RotationPolicy> = {}, dryRun = false) => ({
  ...MADE,
  dryRun,
  policy: { ...ROTATION, ...policy },
});

/** What can make `k2` sign. */
type Promotion = (ports?: RotationPorts) => Promise<unknown>;
const activate: Promotion = (ports = service.ports) =>
  activateKey(ports, { kid: 'k2', policy: ROTATION, now: true, dryRun: false, ...MADE });
const rotateNow: Promotion = (ports = service.ports) => rotateKeys(ports, rotation({ isForced: true }));
const rotateDue: Promotion = (ports = service.ports) => {
  service.clock.advance(30 * DAY);
  return rotateKeys(ports, rotation());
};
const PROMOTIONS = { activate, rotateNow, rotateDue };

/** The same service, where this happens before a private key is opened. */
function beforeOpening(work: (kid: string) => unknown, sealer: Sealer = service.ports.sealer): RotationPorts {
  const open: Sealer['open'] = async (kid, sealed) => {
    await work(kid);
    return sealer.open(kid, sealed);
  };
  const seal: Sealer['seal'] = (kid, pkcs8) => sealer.seal(kid, pkcs8);
  const [sealingKeyId, openingKeyId] = [() => sealer.sealingKeyId(), () => ''];
  return { ...service.ports, sealer: { seal, open, sealingKeyId, openingKeyId } };
}

function counting(): { ports: RotationPorts; opened: string[] } {
  const opened: string[] = [];
  return { ports: beforeOpening((kid) => opened.push(kid)), opened };
}

const states = async () =>
  (await service.database.keys.snapshot()).keys.map(({ kid, state }) => `${kid} ${state}`);
const changeRow = (values: { private_key?: string | null; public_key?: string }) =>
  service.db.updateTable('keystore').set(values).where('kid', '=', 'k2').execute();

describe.each(Object.entries(PROMOTIONS))('a pending key that is to sign, by %s', (_name, promote) => {
  /** Nothing has moved, and tokens are issued as before. */
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

  test('is opened once before it does', async () => {
    await publish('k2');
    const { ports, opened } = counting();
    await promote(ports);
    expect(opened).toEqual(['k2']);
    expect((await states()).slice(0, 2)).toEqual(['k1 retiring', 'k2 active']);
  });

  test('does not, where the keyring lacks its master key: the one before goes on, and it is said what to do', async () => {
    await publish('k2', stranger());
    const { kind, code, message, hint } = await refusal();
    expect([kind, code]).toEqual(['state', 'ERR_MASTER_KEY_UNKNOWN']);
    expect(message).toMatch(/^Key k2 cannot be made to sign: .*master key/);
    expect(hint).toMatch(/Add the missing key .*`jwtctl keys retire k2`/);
  });

  test('does not, where the vault is away', async () => {
    await publish('k2');
    const vault = newSealer({ kind: 'command', command: 'exit 3', timeoutMs: 5_000 }, service.clock);
    const { kind, code } = await refusal({ ...service.ports, sealer: vault });
    expect([kind, code]).toEqual(['unavailable', 'ERR_MASTER_KEY_COMMAND_FAILED']);
  });

  test('does not, where its row was changed by other means', async () => {
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

describe('a rotation', () => {
  test('opens nothing where nothing comes to sign, nor as a dry run', async () => {
    await publish('k2', stranger());
    const { ports, opened } = counting();
    expect(await rotateKeys(ports, rotation())).toMatchObject({ reason: 'not_due' });
    expect(await rotateKeys(ports, rotation({ isForced: true }, true))).toMatchObject({ reason: 'forced' });
    const lead = rotation({ rotateAfterSeconds: 1, publishLeadSeconds: 40 * DAY });
    service.clock.advance(2);
    expect(await rotateKeys(ports, lead)).toMatchObject({ reason: 'waiting' });
    expect(opened).toEqual([]);
  });

  test('that has to plan anew opens the key once', async () => {
    await publish('k2');
    const { ports, opened } = counting();
    let raises = 0;
    const generator: typeof ports.generator = {
      generate: async (bits) => {
        raises += 1;
        if (raises < 3) await service.database.keys.raiseMaxTtl('k1', POLICY.maxTtlSeconds + raises);
        return ports.generator.generate(bits);
      },
    };
    expect(await rotateNow({ ...ports, generator })).toMatchObject({ rotated: true, active: 'k2' });
    // More than three where a thumbprint could not be a kid.
    expect(raises).toBeGreaterThanOrEqual(3);
    expect(opened).toEqual(['k2']);
  });

  test('that waits out the lead opens the key once, when it comes to sign', async () => {
    const { ports, opened } = counting();
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

  test('that cannot open the key, which another run has let sign meanwhile, has lost the race', async () => {
    await publish('k2');
    const outcome = await rotateNow(beforeOpening(() => rotateNow(), stranger()));
    expect(outcome).toMatchObject({ rotated: false, reason: 'lost_race', active: 'k2' });
  });

  test('that cannot open the key, which was given up meanwhile, takes another one', async () => {
    await publish('k2', stranger());
    const giveUp = () =>
      retireKey(service.ports, { kid: 'k2', force: false, dryRun: false, clockToleranceSeconds: 0 });
    const outcome = (await rotateNow(beforeOpening(giveUp))) as RotationOutcome;
    expect(outcome).toMatchObject({ rotated: true, reason: 'forced', previous: 'k1' });
    expect(outcome.active).not.toBe('k2');
  });

  test('does not let a key sign unopened that came to be due while it was at it', async () => {
    await publish('k2');
    await publish('k3', stranger());
    await publish('k4');
    await rotateNow();
    // k1 can be retired, and k3 is due in the second after the plan was made; no pair is wanted for either.
    service.clock.advance(30 * DAY - 1);
    let reads = 0;
    const now = () => service.clock.now() + Number(++reads > 1);
    const ports = { ...service.ports, clock: { ...service.clock, now } };
    await expect(rotateKeys(ports, rotation())).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_UNKNOWN' });
    expect(await states()).toEqual(['k1 retiring', 'k2 active', 'k3 pending', 'k4 pending']);
  });
});

describe('a rotation on a host with another keyring', () => {
  test('publishes no key that no other host could open, and changes nothing', async () => {
    const before = await states();
    const ports = { ...service.ports, sealer: stranger() };
    await expect(rotateKeys(ports, rotation())).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_MASTER_KEY_UNKNOWN',
      message: expect.stringMatching(/No key is made here/),
    });
    expect(await states()).toEqual(before);
  });

  test('by force goes on: a master key may be lost for good', async () => {
    const ports = { ...service.ports, sealer: stranger() };
    expect(await rotateKeys(ports, rotation({ isForced: true }))).toMatchObject({ rotated: true });
  });
});

describe('an activation', () => {
  test('opens nothing of the active key, nor as a dry run', async () => {
    await publish('k2', stranger());
    const { ports, opened } = counting();
    const input = { policy: ROTATION, now: true, ...MADE };
    await activateKey(ports, { ...input, kid: 'k1', dryRun: false });
    await activateKey(ports, { ...input, kid: 'k2', dryRun: true });
    expect(opened).toEqual([]);
  });

  test('that cannot open the key, which another run has let sign meanwhile, finds it done', async () => {
    await publish('k2');
    expect(await activate(beforeOpening(() => activate(), stranger()))).toMatchObject({
      key: { kid: 'k2', state: 'active' },
    });
  });
});
