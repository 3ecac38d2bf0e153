// A WebSocket as a client that others wrote sees it: the one that is built into Node.
#include <cstdlib>
#include <fstream>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "async/blocking_pool.hpp"
#include "net/test_socket.hpp"

namespace hearth::net {
namespace {

using testing::SocketServer;
using testing::TestServer;

// Ends by itself after ten seconds at the most. Its exit status is 0 when all is as it should be.
constexpr std::string_view script = R"js(
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail('it takes too long'), 10000);
const expect = (holds, why) => { if (!holds) fail(why); };
const large = 'ä'.repeat(300000);
const socket = new WebSocket(process.argv[2], ['realtime', 'openai-insecure-api-key.sk-secret']);
socket.binaryType = 'arraybuffer';
const received = [];
socket.onerror = (event) => fail('error: ' + (event.message ?? event.type));
socket.onopen = () => {
  expect(socket.protocol === 'realtime', 'protocol ' + socket.protocol);
  expect(socket.extensions === '', 'extensions ' + socket.extensions);
  socket.send('hello');
  socket.send('');
  socket.send(new Uint8Array([0, 255, 1]));
  socket.send(large);
};
socket.onmessage = ({ data }) => {
  received.push(data);
  if (received.length < 4) return;
  expect(received[0] === 'hello' && received[1] === '', 'texts');
  expect(received[2] instanceof ArrayBuffer && new Uint8Array(received[2]).join() === '0,255,1', 'bytes');
  expect(received[3] === large, 'a large text');
  socket.close(4001, 'done');
};
socket.onclose = ({ code, reason, wasClean }) => {
  expect(received.length === 4, 'closed after ' + received.length + ' messages: ' + code + ' ' + reason);
  expect(wasClean && code === 4001, 'closed with ' + code);
  process.exit(0);
};
)js";

bool exits_well(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(WebSocketInterop, TalksToNode) {
  const std::string node = "node --experimental-websocket --no-warnings ";
  if (!exits_well(node + "-e 'process.exit(typeof WebSocket === \"function\" ? 0 : 1)' >/dev/null 2>&1"))
    GTEST_SKIP() << "no Node with a WebSocket of its own";
  const auto path = ::testing::TempDir() + "hearth_interop_" + std::to_string(::getpid()) + ".js";
  std::ofstream(path) << script;
  bool well = false;
  const auto run = [&](TestServer& server) -> Task<void> {
    async::BlockingPool pool(1);
    const auto command = node + path + " ws://" + server.address() + "/socket";
    well = co_await pool.run([command] { return exits_well(command); });
  };
  TestServer::run(SocketServer::talk(SocketServer::echo), run);
  EXPECT_TRUE(well);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace hearth::net
