import type { FastifyInstance } from 'fastify';

/** Registers the only types of bodies that the API reads. */
export function readForms(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, parsed) => {
      parsed(null, new URLSearchParams(String(body)));
    },
  );
}
