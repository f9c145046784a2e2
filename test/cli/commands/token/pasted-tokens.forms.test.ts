import { describe, expect, test } from 'vitest';
import { pastedToken } from '../../../../src/cli/commands/shared/pasted-token.js';
import { RFC7515_A2 } from '../../../vectors/rfc-vectors.js';

const T = RFC7515_A2.jws;
const [HEADER = '', PAYLOAD = '', SIGNATURE = ''] = T.split('.');
const half = Math.floor(T.length / 2);
const lines = (T.match(/.{1,76}/g) ?? []).join('\n');
const padded = [HEADER, PAYLOAD, SIGNATURE]
  .map((part) => part + '='.repeat((4 - (part.length % 4)) % 4))
  .join('.');
const OTHER = `${HEADER}.e30.${SIGNATURE}`;

describe('a token is taken', () => {
  test('as it is', () => {
    expect(pastedToken(T)).toEqual({ token: T, removed: [], fault: null });
  });

  test.each([
    ['Bearer', `Bearer ${T}`, 'the words before it'],
    ['bearer in lower case', `bearer ${T}`, 'the words before it'],
    ['a header', `Authorization: Bearer ${T}`, 'the words before it'],
    ['a header in lower case', `authorization:Bearer ${T}`, 'the words before it'],
    ['Bearer without a space', `Bearer${T}`, 'the words before it'],
    ['JWT as Django sends it', `JWT ${T}`, 'the words before it'],
    ['Token as Rails sends it', `Token ${T}`, 'the words before it'],
    ['double quotes', `"${T}"`, 'quotes'],
    ['single quotes', `'${T}'`, 'quotes'],
    ['backticks', `\`${T}\``, 'quotes'],
    ['quotes of a word processor', `“${T}”`, 'quotes'],
    ['escaped quotes', `\\"${T}\\"`, 'quotes'],
    ['Bearer in quotes', `"Bearer ${T}"`, 'quotes'],
    ['Bearer before quotes', `Bearer "${T}"`, 'quotes'],
    ['a header in quotes', `'Authorization: Bearer ${T}'`, 'quotes'],
    ['a comma after quotes', `"${T}",`, 'punctuation'],
    ['spaces', `  ${T} `, 'white space'],
    ['two newlines', `${T}\n\n`, 'white space'],
    ['CRLF', `${T}\r\n`, 'white space'],
    ['a byte order mark', `\uFEFF${T}`, 'white space'],
    ['no-break spaces', `\u00a0${T}\u00a0`, 'white space'],
    ['the lines of a mail', lines, 'white space'],
    ['the lines of a mail with CRLF', lines.replaceAll('\n', '\r\n'), 'white space'],
    ['the lines of a mail that was answered', `> ${lines.replaceAll('\n', '\n> ')}`, 'white space'],
    ['indented lines', lines.replaceAll('\n', '\n    '), 'white space'],
    ['the lines of a shell', lines.replaceAll('\n', '\\\n'), 'white space'],
    ['a space inside', `${T.slice(0, half)} ${T.slice(half)}`, 'white space'],
    ['a zero-width space inside', `${T.slice(0, half)}\u200b${T.slice(half)}`, 'white space'],
    ['a soft hyphen inside', `${T.slice(0, half)}\u00ad${T.slice(half)}`, 'white space'],
    ['Bearer and the lines of a mail', `Bearer ${lines}`, 'white space'],
    ['padding', padded, 'padding'],
    ['encoded padding', padded.replaceAll('=', '%3D'), 'padding'],
    ['JSON', `{"token":"${T}"}`, 'the JSON around its member token'],
    [
      'the answer of a token endpoint',
      JSON.stringify({ access_token: T, token_type: 'Bearer', id_token: OTHER }),
      'the JSON around its member access_token',
    ],
    ['JSON with lines', `{\n  "token": "${T}"\n}\n`, 'the JSON around its member token'],
    ['JSON with a broken string', `{"access_token": "${lines}"}`, 'the JSON around its member access_token'],
    ['JSON with Bearer', `{"token":"Bearer ${T}"}`, 'the words before it'],
    ['JSON in JSON', `{"data":{"jwt":"${T}"}}`, 'the text around it'],
    ['a URL', `https://app.example/reset?token=${T}&lang=en`, 'the text around it'],
    ['a fragment', `https://app.example/cb#access_token=${T}&token_type=bearer`, 'the text around it'],
    ['a path', `https://app.example/verify/${T}/`, 'the text around it'],
    ['an encoded URL', encodeURIComponent(`https://app.example/?token=${T}`), 'the text around it'],
    ['a cookie', `Cookie: theme=dark; session=${T}; csrf=a1b2c3`, 'the text around it'],
    ['a cookie that is set', `Set-Cookie: jwt=${T}; Path=/; HttpOnly; Secure`, 'the text around it'],
    ['a command', `curl -H "Authorization: Bearer ${T}" \\\n  https://api.example/v1`, 'the text around it'],
    ['an env file', `SESSION_JWT=${T}`, 'the text around it'],
    ['a sentence', `Please use ${T}. Thanks.`, 'the text around it'],
    ['Markdown', `[link](https://app.example/?t=${T})`, 'the text around it'],
    ['a log line', `2026-01-01T00:00:00Z INFO token=${T} user=7`, 'the text around it'],
    ['the same token twice', `{"a":"${T}","b":"${T}"}`, 'the text around it'],
  ])('from %s', (_name, text, removed) => {
    const pasted = pastedToken(text);
    expect(pasted).toMatchObject({ token: T, fault: null });
    expect(pasted.removed).toContain(removed);
  });
});

const JWE = `${Buffer.from('{"alg":"RSA-OAEP","enc":"A256GCM"}').toString('base64url')}.AAAA.AAAA.AAAA.AAAA`;

describe('a text is named', () => {
  test.each([
    ['nothing', '', 'it is empty'],
    ['white space', ' \n', 'it is empty'],
    ['an encrypted token', JWE, 'an encrypted token (JWE)'],
    ['an encrypted token after Bearer', `Bearer ${JWE}`, 'an encrypted token (JWE)'],
    ['an encrypted token without a key', JWE.replace('.AAAA', '.'), 'an encrypted token (JWE)'],
    ['an opaque token', '2YotnFZFEjr1zCsicMWpAA', 'an opaque token'],
    ['an opaque token after Bearer', 'Bearer SlAV32hkKGSlAV32hkKG', 'an opaque token'],
    ['a token of GitHub', `ghp_${'x1'.repeat(18)}`, 'an opaque token'],
    ['a UUID', '3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'an opaque token'],
    ['Basic', 'Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Basic'],
    ['Basic alone', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Basic'],
    ['two tokens', `${T}\n${OTHER}\n`, 'more than one token'],
    ['two tokens in a URL', `https://a.example/#access_token=${T}&id_token=${OTHER}`, 'more than one token'],
    ['a shortened token', `${T.slice(0, 40)}…`, 'shortened'],
    ['a token with dots for its middle', `${T.slice(0, 40)}...${T.slice(-10)}`, 'shortened'],
    ['a token with dots at its end', `${T.slice(0, -40)}...`, 'shortened'],
    ['the first part', HEADER, 'cut off'],
    ['two parts', `${HEADER}.${PAYLOAD}`, 'cut off'],
    [
      'a command with a broken token',
      `curl -H x ${T.slice(0, -30)}\n${T.slice(-30)} https://x.example`,
      'broken over several lines',
    ],
    ['a token with disclosures', `${T}~WyJzYWx0Iiwic3ViIl0~`, 'SD-JWT'],
    ['a PASETO', `v4.public.${PAYLOAD}`, 'PASETO'],
    ['a key', '{"kty":"RSA","n":"AAAA","e":"AQAB"}', 'a key (JWK)'],
    ['a key file', '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n', 'PEM'],
    ['a decoded token', '{"sub":"secret-subject","exp":1}', 'already decoded'],
    ['a JWS in JSON', `{"payload":"${PAYLOAD}","signatures":[]}`, 'JSON Serialization'],
    ['other JSON', '{"error":"invalid_grant"}', 'a JSON object without'],
    ['a variable', '$TOKEN', 'a variable'],
    ['a variable of Windows', '%ACCESS_TOKEN%', 'a variable'],
    ['a placeholder', '<your-token-here>', 'placeholder'],
    ['a placeholder of a REST client', 'Bearer {{token}}', 'placeholder'],
    ['the name of a file', 'secret-name.jwt', 'it is the name of a file, which needs an @ before it'],
  ])('%s', (_name, text, why) => {
    const { token, fault } = pastedToken(text);
    expect(fault).toContain(why);
    expect(token).toBe(text);
    for (const word of text.match(/[\w-]{8,}/g) ?? []) expect(fault).not.toContain(word);
  });
});
