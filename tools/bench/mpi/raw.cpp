// SPDX-License-Identifier: BSD-3-Clause
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

// The limits of the group `cluster`: a master and two workers that only call MPI.

namespace {

constexpr int task_bytes = 64;
constexpr int depth = 2;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Tasks per second, in frames of so many tasks, two frames under way to each worker; an empty
/// frame ends a worker.
double master(int workers, int tasks_a_frame, int frames) {
  const int bytes = tasks_a_frame * task_bytes;
  std::vector<char> frame(static_cast<std::size_t>(bytes), 'x');
  std::vector<char> answer(frame.size());
  const double begin = now();
  int sent = 0;
  int received = 0;
  std::vector<MPI_Request> requests;
  const auto send = [&](int to) {
    MPI_Request request;
    MPI_Isend(frame.data(), bytes, MPI_BYTE, to, 1, MPI_COMM_WORLD, &request);
    MPI_Request_free(&request);
    ++sent;
  };
  for (int i = 0; i < depth; ++i) {
    for (int worker = 1; worker <= workers; ++worker) send(worker);
  }
  while (received < sent) {
    MPI_Status status;
    MPI_Recv(answer.data(), bytes, MPI_BYTE, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &status);
    ++received;
    if (sent < frames) send(status.MPI_SOURCE);
  }
  const double seconds = now() - begin;
  for (int worker = 1; worker <= workers; ++worker) {
    MPI_Send(nullptr, 0, MPI_BYTE, worker, 1, MPI_COMM_WORLD);
  }
  return received * static_cast<double>(tasks_a_frame) / seconds;
}

void worker(int tasks_a_frame) {
  std::vector<char> frame(static_cast<std::size_t>(tasks_a_frame) * task_bytes);
  for (;;) {
    MPI_Status status;
    int bytes = 0;
    MPI_Recv(frame.data(), static_cast<int>(frame.size()), MPI_BYTE, 0, 1, MPI_COMM_WORLD, &status);
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes == 0) return;
    MPI_Send(frame.data(), bytes, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
  }
}

/// Bytes per second of 256 MiB to each worker, one after the other.
double array(int rank, int workers) {
  constexpr int bytes = 256 << 20;
  std::vector<char> content(static_cast<std::size_t>(bytes), 'x');
  std::vector<double> rates;
  for (int round = 0; round < 4; ++round) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = now();
    for (int to = 1; to <= workers; ++to) {
      if (rank == 0) MPI_Send(content.data(), bytes, MPI_BYTE, to, 2, MPI_COMM_WORLD);
      if (rank == to) {
        MPI_Recv(content.data(), bytes, MPI_BYTE, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      }
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (round > 0) rates.push_back(static_cast<double>(bytes) * workers / (now() - begin));
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string work = argc > 1 ? argv[1] : "";
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (work == "batches") {
    for (int round = 0; round < 2; ++round) {
      if (rank > 0) {
        worker(100);
      } else if (const double rate = master(size - 1, 100, 50'000); round > 0) {
        std::printf("%g\n", rate);
      }
    }
  } else if (work == "array") {
    const double rate = array(rank, size - 1);
    if (rank == 0) std::printf("%g\n", rate);
  } else {
    int value = 1;
    MPI_Bcast(&value, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (rank == 0) std::printf("%d\n", value);
  }
  MPI_Finalize();
}
