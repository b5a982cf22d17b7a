// A cable that can be cut: an HTTP proxy in front of a running centre.
//   cut()   no connection is taken, the open ones are destroyed: the cable is out
//   hang()  connections stay open and nothing passes any more: a dead peer behind a living socket
//   mend()  as new
import { createServer, request } from 'node:http';

export async function wire(target) {
  const to = new URL(target);
  const sockets = new Set();
  let state = 'whole';
  const server = createServer((req, res) => {
    if (state === 'hang') return; // taken, and never answered
    // The centre checks Host and Origin: it must see its own.
    const headers = { ...req.headers, host: to.host };
    if (headers.origin) headers.origin = to.origin;
    if (headers.referer) headers.referer = `${to.origin}/`;
    const up = request({ host: to.hostname, port: to.port, method: req.method, path: req.url, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (chunk) => state === 'whole' && res.write(chunk));
      answer.on('end', () => state === 'whole' && res.end());
      answer.on('error', () => res.destroy());
    });
    up.on('error', () => res.destroy());
    res.on('close', () => up.destroy());
    req.pipe(up);
  });
  server.on('connection', (socket) => {
    if (state === 'cut') return socket.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    return undefined;
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const drop = () => sockets.forEach((s) => s.destroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      state = 'cut';
      drop();
    },
    hang() {
      state = 'hang';
    },
    mend() {
      state = 'whole';
      drop();
    },
    close() {
      drop();
      server.close();
    },
  };
}
