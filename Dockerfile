# `translate serve` in a container, on the CPU; docs/serving.md says how to start it.
FROM python:3.12-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE /src/
COPY translate /src/translate
COPY recipes /src/recipes
COPY datasets /src/datasets
RUN pip install --no-cache-dir '/src[serve]' && useradd --create-home translate
USER translate
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["translate", "serve", "--host", "0.0.0.0", "--device", "cpu"]
CMD ["/model"]
