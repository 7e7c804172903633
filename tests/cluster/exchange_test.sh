#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Exchanges between nodes: the MPI tests on even and uneven nodes by every route.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/exchange.sh"

emulated=$top_builddir/tests/emulated_cuda/.libs
driver=$emulated/libcuda_emulated.so

# gpu_test ...: mpi_test with buffers in memory of GPUs, if the build has the emulated driver.
gpu_test() {
  [[ -f $driver ]] || return
  MPIX_TEST_GPU=70 MPIX_LAYOUT_CUDA_DRIVER=$(realpath "$driver") mpi_test "$@"
}

# The same with chunks in memory of the GPUs, where the UCX handles that: it must find the driver by its usual name.
gpu_memory_test() {
  [[ -f $driver ]] || return
  local libraries=$work/libraries
  mkdir -p "$libraries"
  ln -sf "$(realpath "$driver")" "$libraries/libcuda.so.1"
  ln -sf "$(realpath "$emulated/libnvml_emulated.so")" "$libraries/libnvidia-ml.so.1"
  under=(env "LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH+:$LD_LIBRARY_PATH}" UCX_TLS=tcp,self,cuda
    MPIX_LAYOUT_NET_GPU_MEMORY=on)
  if "${under[@]}" "MPIX_LAYOUT_CUDA_DRIVER=$driver" "$top_builddir/mpix_layout_info" --transports 2>&1 |
    grep -q 'chunks in GPU memory *offered'; then
    gpu_test "$@"
  else
    echo "not run: this UCX handles no memory of GPUs"
  fi
  under=()
}

mpi_test 2 1 exchange auto
mpi_test 2 2,3 exchange forward
MPIX_LAYOUT_HELPERS=on mpi_test 4 3,1,2,2 exchange forward
MPIX_LAYOUT_HELPERS=on mpi_test 4 3,1,2,2 requests forward
mpi_test 4 2 plans auto
mpi_test 2 3,5 leaving auto
mpi_test 2 3,5 mismatch auto
mpi_test 2 3,2 mismatch forward --size 5
mpi_test 2 2,3 exchange aggregate
mpi_test 4 3,1,2,2 requests aggregate
mpi_test 3 2,1,4 plans aggregate
mpi_test 2 3,2 mismatch aggregate --size 5
gpu_test 2 2,3 exchange forward
gpu_test 2 2,3 exchange aggregate
gpu_test 4 3,1,2,2 gpu auto
gpu_memory_test 2 2,3 exchange direct
gpu_memory_test 4 3,1,2,2 gpu direct
finish
