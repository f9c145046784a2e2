// Asks `jwtctl serve` in this container, and exits with 0 if the answer is 200: node healthcheck.mjs /healthz

const { JWTCTL_SERVE_PORT: port = '8787', JWTCTL_SERVE_TLS_CERT: cert } = process.env;
const scheme = cert ? 'https' : 'http';
const { get } = await import(`node:${scheme}`);

// The certificate is valid for the public name of the server, not for loopback.
const options = { rejectUnauthorized: false, timeout: 4000 };
get(`${scheme}://127.0.0.1:${port}${process.argv[2]}`, options, ({ statusCode }) => {
  process.exit(statusCode === 200 ? 0 : 1);
})
  .on('error', () => process.exit(1))
  .on('timeout', () => process.exit(1));
