// Task<T>: the coroutine type of the tree.
//
// Every io thread runs one io_context of its own (Runtime), so whatever lives on one executor is
// single-threaded and needs no lock. Work that blocks goes to a BlockingPool; results come back to the
// awaiting coroutine's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hearth {

template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace hearth

namespace hearth::async {

using Executor = boost::asio::any_io_executor;

}  // namespace hearth::async
