import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';

export const getOpenApi = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/openapi.json`,
  id: 'getOpenApi',
  tag: 'operation',
  summary: 'this API as OpenAPI 3.1',
  access: 'open',
  answer: z.record(z.string(), z.unknown()),
});
