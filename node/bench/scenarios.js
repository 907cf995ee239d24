'use strict';

const KIB = 1024;
/** `bare` is Node's own sockets, which send the bytes back as they come, masked. */
const LIBRARIES = ['bare', 'towline', 'ws', 'websocket'];

/** What is kept in flight. */
const ECHOES = [
  { name: '32B-one', size: 32, connections: 64, inFlight: 1, title: '64 × 32 B, one at a time' },
  { name: '32B-flight', size: 32, connections: 64, inFlight: 64, title: '64 × 32 B, 64 in flight' },
  {
    name: '32B-text',
    size: 32,
    connections: 64,
    inFlight: 64,
    kind: 'text',
    title: '64 × 32 B text, 64 in flight',
  },
  { name: '1KiB-flight', size: KIB, connections: 64, inFlight: 16, title: '64 × 1 KiB, 16 in flight' },
  {
    name: '1KiB-text',
    size: KIB,
    connections: 64,
    inFlight: 16,
    kind: 'text',
    title: '64 × 1 KiB text, 16 in flight',
  },
  { name: '16KiB', size: 16 * KIB, connections: 16, inFlight: 8, title: '16 × 16 KiB, 8 in flight' },
  {
    name: '16KiB-text',
    size: 16 * KIB,
    connections: 16,
    inFlight: 8,
    kind: 'text',
    title: '16 × 16 KiB text, 8 in flight',
  },
  { name: '1MiB', size: KIB * KIB, connections: 8, inFlight: 2, title: '8 × 1 MiB, 2 in flight' },
  {
    name: '1MiB-text',
    size: KIB * KIB,
    connections: 8,
    inFlight: 2,
    kind: 'text',
    title: '8 × 1 MiB text, 2 in flight',
  },
  // The load generator builds its frames before, so each message is compressed for itself.
  {
    name: '4KiB-json',
    size: 4 * KIB,
    connections: 16,
    inFlight: 4,
    kind: 'json',
    compressed: true,
    title: '16 × 4 KiB JSON, compressed, 4 in flight',
    libraries: ['towline', 'ws'],
  },
];

const IDLE = { connections: 10_000, size: KIB };

module.exports = { ECHOES, IDLE, LIBRARIES };
