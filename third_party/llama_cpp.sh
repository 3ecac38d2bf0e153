#!/usr/bin/env bash
# Builds llama.cpp's server from the pinned npm bundle into the cache and prints the folder that holds it.
# The folder's name carries a digest of everything that decides its content, so a finished build is never stale
# and never repeated. Runs once per machine, about twenty minutes on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}

# CPU variants: the baseline is AVX2 (haswell); ggml picks the best that the machine can run when it starts.
# Neither -march=native nor the variants of newer processors: g++ 12 emits AMX kernels that die with SIGILL on
# quantised models. ggml builds all variants of its list, so the others are taken out of it.
variants="haswell skylakex icelake"
flags=(
  -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON
  -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON -DGGML_OPENMP=ON
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
  -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN"
)
digest=$(cat "$here/llama_cpp.sh" "$here/package-lock.json" | sha256sum | cut -c1-12)
out=$cache/llama.cpp-v0.5.0-$digest
if [ -x "$out/llama-server" ]; then echo "$out"; exit 0; fi

mkdir -p "$cache"
exec 9>"$cache/llama.cpp.lock"
flock 9                                   # two checkouts may ask at once
if [ -x "$out/llama-server" ]; then echo "$out"; exit 0; fi

{
  work=$cache/work-$digest
  rm -rf "$work" "$out.part"; mkdir -p "$work"
  cp "$here/package.json" "$here/package-lock.json" "$work/"
  echo "llama.cpp: fetching the pinned sources from npm"
  (cd "$work" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error)
  git clone -q "$work/node_modules/node-llama-cpp/llama/gitRelease.bundle" "$work/src" 2>/dev/null
  sed -i -E "/ggml_add_cpu_backend_variant\\(/{/\\((tag_name|${variants// /|})[ )]/!d}" "$work/src/ggml/src/CMakeLists.txt"
  launcher=(); if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -S "$work/src" -B "$work/build" -G Ninja "${flags[@]}" "${launcher[@]}" >"$work/cmake.log" 2>&1 \
    || { cat "$work/cmake.log"; exit 1; }
  echo "llama.cpp: building (once per machine; later builds take it from the cache)"
  NINJA_STATUS="llama.cpp [%f/%t] " ninja -C "$work/build" llama-server llama-quantize
  mkdir -p "$out.part"
  cp -a "$work/build/bin/." "$out.part/"
  cp "$work/src/LICENSE" "$out.part/LICENSE.llama.cpp"
  mv "$out.part" "$out"
  rm -rf "$work"
} >&2
echo "$out"
