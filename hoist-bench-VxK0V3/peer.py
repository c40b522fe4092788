import time, multiprocessing as mp
def f(i): return i
ctx = mp.get_context('fork')
best = []
for _ in range(5):
    t = time.perf_counter()
    with ctx.Pool(2) as pool: pool.map(f, range(2))
    best.append(time.perf_counter() - t)
print(sorted(best)[2])
