"""Apps that are wrong, each in the line that says so."""

from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    F5Nginx,
    GatewayRef,
    GpuPodSpec,
    HpaScaler,
    KedaScaler,
    MigSlice,
    ModelCache,
    ModelDeployment,
    ModelFleet,
    ModelMonitor,
    Namespace,
    PodOptions,
    QueueDepth,
    Startup,
    StreamingIngress,
    TimeToFirstToken,
    TokenSecret,
    WholeGpu,
)

GPU = WholeGpu("NVIDIA-L40S")
NAME = "Qwen/Qwen2.5-7B-Instruct"

chart = Chart(App(), "qwen", namespace="llm")
model = ModelDeployment(chart, "qwen", model=NAME, gpu=GPU)

# Misspelt, missing and positional arguments.
ModelDeployment(chart, "a", model=NAME, gpu=GPU, replica=2)  # wrong: replicas
ModelDeployment(chart, "b", model=NAME)  # wrong: gpu is missing
ModelDeployment(chart, "c", NAME, gpu=GPU)  # wrong: model is a keyword
ModelDeployment(chart, "t", gpu=GPU)  # wrong: model is missing
ModelDeployment(chart, "u", model=NAME, gpu=GPU, served="qwen")  # wrong: served_name
ModelDeployment(chart, "v", model=NAME, gpu=GPU, longest_answer=9)  # wrong: response_timeout
GpuPodSpec(model=NAME)  # wrong: gpu is missing
GpuPodSpec(gpu=GPU)  # wrong: model is missing
GpuPodSpec(NAME, gpu=GPU)  # wrong: model is a keyword
GpuPodSpec(model=NAME, gpu=GPU, cach=None)  # wrong: cache
GpuPodSpec(model=NAME, gpu=GPU, replicas=2)  # wrong: a pod has none
half: PodOptions = {"model": NAME}  # wrong: gpu is missing
other: PodOptions = {"model": NAME, "gpu": GPU, "prot": 8000}  # wrong: port
HpaScaler(chart, "w", target=model, max_replicas=2, metrics=[])  # wrong: triggers
MigSlice("1g.10gb", count=2)  # wrong: a pod has one slice
EngineArgs(4096)  # wrong: max_model_len is a keyword
EngineArgs(max_modle_len=4096)  # wrong: max_model_len
EngineArgs(block_sise=16)  # wrong: block_size
EngineArgs(compilation_config={"level": 3})  # wrong: mode
EngineArgs(compilation_config={"pass_config": {"no_such": True}})  # wrong: a key within
WholeGpu("NVIDIA-L40S", 2)  # wrong: count is a keyword
KedaScaler(chart, "d", target=model, max_replicas=2, triggers=[])  # wrong: prometheus is missing

# Wrong types.
ModelDeployment(chart, "e", model=NAME, gpu="NVIDIA-L40S")  # wrong: a string is no GPU
ModelDeployment(chart, "f", model=NAME, gpu=GPU, replicas="2")  # wrong: a string is no number
ModelDeployment(chart, "g", model=NAME, gpu=GPU, cache="weights")  # wrong: a string is no cache
ModelDeployment(chart, "h", model=NAME, gpu=GPU, env={"A": 1})  # wrong: a number is no string
ModelDeployment(chart, "i", model=NAME, gpu=GPU, startup=15)  # wrong: a number is no Startup
ModelDeployment(chart, "j", model=NAME, gpu=GPU, cpu=4)  # wrong: a number is no quantity
ModelDeployment(chart, "x", model=None, gpu=GPU)  # wrong: None is no model
GpuPodSpec(model=NAME, gpu="NVIDIA-L40S")  # wrong: a string is no GPU
GpuPodSpec(model=NAME, gpu=GPU, port="8000")  # wrong: a string is no number
GpuPodSpec(model=NAME, gpu=GPU, engine={"dtype": "auto"})  # wrong: a dict is no EngineArgs
HpaScaler(chart, "k", target="qwen", max_replicas=2, triggers=[])  # wrong: a string is no model
ModelFleet(chart, "l", models=["qwen"], host="a.example.com", controller=F5Nginx())  # wrong: models
EngineArgs(max_model_len="long")  # wrong: a string is no number
Drain(seconds="90s")  # wrong: a unit
Startup(minutes=1.5)  # wrong: no whole number

EngineArgs(enable_dbo="yes")  # wrong: a string is no switch
EngineArgs(cudagraph_capture_sizes=["1"])  # wrong: strings are no numbers
EngineArgs(compilation_config={"mode": 3.5})  # wrong: a key's type

# Wrong literals.
ModelCache(chart, "m", size="1Gi", access="RWX")  # wrong: access
ModelMonitor(chart, "n", target=model, kind="Probe")  # wrong: kind
Namespace(chart, "o", pod_security="strict")  # wrong: level
EngineArgs(dtype="bf16")  # wrong: dtype
EngineArgs(scheduling_policy="lifo")  # wrong: policy
EngineArgs(kv_transfer_config={"kv_role": "kv_all"})  # wrong: role
GatewayRef("edge", implementation="istio")  # wrong: implementation
TokenSecret(chart, "p", value="x", in_clear_text=False)  # wrong: consent

# What does not fit together.
HpaScaler(chart, "q", target=model, max_replicas=2, triggers=[TimeToFirstToken(2)])  # wrong: KEDA
StreamingIngress(chart, "r", target=model, host="a.b", controller=GatewayRef("x"))  # wrong: kind
HpaScaler(chart, "s", target=model, max_replicas=2, triggers=QueueDepth(5))  # wrong: no list
number: int = model.replica  # wrong: no such attribute
GPU.count = 2  # wrong: values are frozen
GpuPodSpec(model=NAME, gpu=GPU).port = 1  # wrong: values are frozen
EngineArgs().dtype = "auto"  # wrong: values are frozen
model.check_scaler()  # wrong: no such method
