import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('two instances in one process count apart', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.connections.inc({ type: 'admin' });
  one.requests.observe({ method: 'GET', route: '/sessions', status: '200' }, 0.02);
  expect(await one.text()).toContain('switchboard_connections{type="admin"} 1');
  expect(await one.text()).toContain(
    'switchboard_request_seconds_count{method="GET",route="/sessions",status="200"} 1',
  );
  expect(await other.text()).not.toContain('type="admin"');
});

test('the figures of the process are included once somebody asks, and nothing watches it before', async () => {
  const { registry, text } = createMetrics();
  const names = (): string[] => registry.getMetricsAsArray().map(({ name }) => name);
  expect(names().filter((name) => !name.startsWith('switchboard_'))).toEqual([]);
  const told = await text();
  expect(told).toContain('process_cpu_seconds_total');
  // Seconds: without a look at the event loop they would be millions, or none.
  for (const figure of ['min', 'mean', 'max', 'p99']) {
    const [, seconds] = new RegExp(`^nodejs_eventloop_lag_${figure}_seconds (\\S+)$`, 'm').exec(told) ?? [];
    expect(Number(seconds)).toBeGreaterThan(0);
    expect(Number(seconds)).toBeLessThan(100);
  }
});

test('every metric of our own is named and explained in one style', () => {
  const { registry, text: _text, ...metrics } = createMetrics();
  const own = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('switchboard_'));
  expect(own).toHaveLength(Object.keys(metrics).length);
  for (const { name, help } of own) {
    expect(name).toMatch(/^switchboard_[a-z_]+$/);
    expect(help).toMatch(/^[A-Z].*[^.]$/);
  }
});
