import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sign, verifyGithub, verifySigned } from './signature.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = Buffer.from('{"test": 2432232314}');
const NOW = 1_614_265_330_000;
const TIME = { now: NOW, toleranceMs: 300_000 };
const signed = sign(SECRET, 'msg_p5jXN8AQM9LWM0D4loKWxJek', NOW, BODY);

describe('a signed request', () => {
  it('is signed as Standard Webhooks says: its own example', () => {
    expect(signed).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('holds within its time, and one good signature of several is enough', () => {
    expect(verifySigned(SECRET, signed, BODY, TIME)).toBe('msg_p5jXN8AQM9LWM0D4loKWxJek');
    const several = { ...signed, 'webhook-signature': `v1,AAAA v2,x ${signed['webhook-signature']}` };
    expect(verifySigned(SECRET, several, BODY, { ...TIME, now: NOW + 300_000 })).toBe(signed['webhook-id']);
  });

  it.each([
    ['another secret', 'whsec_AAAA', signed, BODY],
    ['another body', SECRET, signed, Buffer.from('{"test": 2432232315}')],
    ['another id', SECRET, { ...signed, 'webhook-id': 'msg_2' }, BODY],
    ['another time', SECRET, { ...signed, 'webhook-timestamp': '1614265331' }, BODY],
    ['no id', SECRET, { ...signed, 'webhook-id': undefined }, BODY],
    ['an id twice', SECRET, { ...signed, 'webhook-id': ['a', 'b'] }, BODY],
    ['no signature', SECRET, { ...signed, 'webhook-signature': '' }, BODY],
    [
      'a signature without its version',
      SECRET,
      { ...signed, 'webhook-signature': signed['webhook-signature'].slice(3) },
      BODY,
    ],
    ['a time that is none', SECRET, { ...signed, 'webhook-timestamp': '1e9' }, BODY],
    [
      'the good signature behind many',
      SECRET,
      { ...signed, 'webhook-signature': `${'v1,AAAA '.repeat(8)}${signed['webhook-signature']}` },
      BODY,
    ],
  ])('does not hold with %s', (_, secret, headers, body) => {
    expect(() => verifySigned(secret, headers, body, TIME)).toThrow(
      expect.objectContaining({ code: 'signature_invalid' }),
    );
  });

  it.each([NOW + 300_001, NOW - 301_000])('does not hold out of its time', (now) => {
    expect(() => verifySigned(SECRET, signed, BODY, { ...TIME, now })).toThrow('too long ago');
  });
});

describe("GitHub's signature", () => {
  // the example of GitHub's own documentation
  const secret = "It's a Secret to Everybody";
  const body = Buffer.from('Hello, World!');
  const good = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

  it('holds over the body', () => {
    expect(createHmac('sha256', secret).update(body).digest('hex')).toBe(good.slice(7));
    expect(() => verifyGithub(secret, { 'x-hub-signature-256': good }, body)).not.toThrow();
  });

  it.each([undefined, '', good.slice(7), good.replace('7', '8'), `${good}00`])(
    'does not hold as %s',
    (signature) => {
      expect(() => verifyGithub(secret, { 'x-hub-signature-256': signature }, body)).toThrow(
        expect.objectContaining({ code: 'signature_invalid' }),
      );
    },
  );
});
