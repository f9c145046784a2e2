// @ts-check
/**
 * `POST /token` without any store: checks the client, opens the refresh token, signs the next access token with RS256, and
 * seals the next refresh token; in as many processes that share the port as the first argument says. `GET /first` answers
 * with a first refresh token. Says `listening <port>` on standard error, each process once.
 */
import cluster from 'node:cluster';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import { fastify } from 'fastify';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const LIFETIME_SECONDS = 3600;

const [workers, secret] = [Number(process.argv[2]), String(process.argv[3])];

if (cluster.isPrimary) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const env = {
    SIGNING_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    SEALING_KEY: randomBytes(32).toString('hex'),
  };
  for (let index = 0; index < workers; index++) cluster.fork(env);
} else {
  await serve(
    createPrivateKey(String(process.env.SIGNING_KEY)),
    Buffer.from(String(process.env.SEALING_KEY), 'hex'),
  );
}

/**
 * @param {import('node:crypto').KeyObject} signingKey
 * @param {Buffer} sealingKey
 */
async function serve(signingKey, sealingKey) {
  const signed = promisify(sign);
  const expected = digestOf(secret);
  const header = encoded({ alg: 'RS256', typ: 'JWT', kid: 'A'.repeat(43) });

  const seal = (/** @type {object} */ contents) => {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce);
    const body = Buffer.concat([cipher.update(JSON.stringify(contents)), cipher.final()]);
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url');
  };
  const open = (/** @type {string} */ token) => {
    const bytes = Buffer.from(token, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', sealingKey, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const body = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    return JSON.parse(Buffer.concat([body, decipher.final()]).toString());
  };

  const app = fastify();
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, parsed) =>
    parsed(null, new URLSearchParams(String(body))),
  );
  app.get('/first', async () => ({
    refresh_token: seal({ sub: 'user1@example.com', family: 'A'.repeat(22), counter: 0 }),
  }));
  app.post('/token', async (request, reply) => {
    const [, given = ''] = (request.headers.authorization ?? '').split(' ');
    const password = Buffer.from(given, 'base64').toString().split(':')[1] ?? '';
    if (!timingSafeEqual(digestOf(password), expected)) return reply.code(401).send();
    const form = /** @type {URLSearchParams} */ (request.body);
    const { sub, family, counter } = open(String(form.get('refresh_token')));
    const iat = Math.floor(Date.now() / 1000);
    const jti = `${family}.${counter + 1}`;
    const claims = { iss: 'jwtctl', sub, aud: 'user', iat, exp: iat + LIFETIME_SECONDS, jti };
    const input = `${header}.${encoded(claims)}`;
    const signature = await signed('sha256', Buffer.from(input), signingKey);
    return {
      access_token: `${input}.${signature.toString('base64url')}`,
      token_type: 'Bearer',
      expires_in: LIFETIME_SECONDS,
      refresh_token: seal({ sub, family, counter: counter + 1 }),
    };
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = /** @type {import('node:net').AddressInfo} */ (app.server.address());
  process.stderr.write(`listening ${port}\n`);
}

/** @param {object} value */
function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** @param {string} text */
function digestOf(text) {
  return createHash('sha256').update(text).digest();
}
