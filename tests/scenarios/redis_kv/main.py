"""Two replicas that share their KV cache in Redis through LMCache, and wait until it answers."""

from cdk8s import App, Chart

from vllm_constructs import (
    Container,
    EngineArgs,
    EnvVarSource,
    ModelCache,
    ModelDeployment,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "mistral",
    model="mistralai/Ministral-8B-Instruct-2410",
    image="lmcache/vllm-openai:v0.4.0",
    vllm="0.33.0",
    command=["/opt/venv/bin/vllm", "serve"],
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=2,
    cache=ModelCache(chart, "weights", size="40Gi"),
    engine=EngineArgs(
        max_model_len=16384,
        kv_transfer_config={"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"},
    ),
    env={
        "LMCACHE_REMOTE_URL": "redis://:$(REDIS_PASSWORD)@redis.cache.svc:6379",
        "LMCACHE_REMOTE_SERDE": "naive",
        "REDIS_PASSWORD": EnvVarSource.from_secret("redis", key="password"),
    },
    init_containers=[
        Container(
            name="wait-for-redis",
            image="busybox:1.37.0",
            command=["sh", "-c", "until nc -z redis.cache.svc 6379; do sleep 2; done"],
        )
    ],
)
app.synth()
