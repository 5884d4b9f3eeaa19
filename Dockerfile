# CPU image:  docker build -t settle . && docker run --rm -v "$PWD/runs:/settle/runs" settle demo
FROM python:3.10-slim

# numba caches compiled kernels beside the source; mkl and openmp of torch need libgomp.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/settle
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

WORKDIR /settle
ENTRYPOINT ["settle"]
CMD ["--help"]
