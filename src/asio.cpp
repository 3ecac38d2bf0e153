// The compiled part of Boost.Asio (BOOST_ASIO_SEPARATE_COMPILATION). It stands beside the precompiled header
// because every object that uses that header refers to it.
#include <boost/asio/impl/src.hpp>
