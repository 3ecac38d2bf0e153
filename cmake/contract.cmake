# Turns contract/*.yaml into C++: see tools/contractc.
set(contract_out ${CMAKE_BINARY_DIR}/generated/contract)
file(GLOB_RECURSE contract_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/contract/*.yaml
     ${CMAKE_SOURCE_DIR}/src/contract/fixture/*.yaml ${CMAKE_SOURCE_DIR}/tools/contractc/*.py)
set(contract_headers ${contract_out}/operations.hpp ${contract_out}/fields.hpp ${contract_out}/schemas.hpp ${contract_out}/handlers.hpp
    ${contract_out}/fixture.hpp)
set(contract_sources ${contract_out}/operations.cpp ${contract_out}/schemas.cpp ${contract_out}/openapi_json.cpp)
set(contract_handlers ${contract_out}/handlers.cpp)
set(contract_stamp ${contract_out}/stamp)
# The stamp always moves; the files themselves are rewritten only when they change, so that ninja (restat) rebuilds little.
add_custom_command(
  OUTPUT ${contract_stamp}
  BYPRODUCTS ${contract_headers} ${contract_sources} ${contract_handlers}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/contractc/contractc generate
          --contract ${CMAKE_SOURCE_DIR}/contract --out ${contract_out}
  # The small contract of the unit tests: generated/contract/fixture.hpp.
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/contractc/contractc fixture
          --contract ${CMAKE_SOURCE_DIR}/src/contract/fixture --out ${contract_out}
  COMMAND ${CMAKE_COMMAND} -E touch ${contract_stamp}
  DEPENDS ${contract_inputs} ${CMAKE_SOURCE_DIR}/tools/contractc/contractc
  COMMENT "contractc: contract/*.yaml -> C++" VERBATIM)
add_custom_target(contract_generated DEPENDS ${contract_stamp})
