// device-plugin offers GPUs that are not there, as NVIDIA's device plugin offers real ones: it
// registers with kubelet, and gives the containers that get one what its configuration says. There
// the driver's libraries are mounted in; here the whole engine is.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	socketName = "gpus.sock"
	visible    = "NVIDIA_VISIBLE_DEVICES"
)

type configuration struct {
	Resource    string
	Count       int
	Environment map[string]string
	Mounts      []*v1beta1.Mount
}

type server struct {
	v1beta1.UnimplementedDevicePluginServer
	configuration
}

func (s *server) GetDevicePluginOptions(context.Context, *v1beta1.Empty) (*v1beta1.DevicePluginOptions, error) {
	return &v1beta1.DevicePluginOptions{}, nil
}

func (s *server) ListAndWatch(_ *v1beta1.Empty, stream grpc.ServerStreamingServer[v1beta1.ListAndWatchResponse]) error {
	devices := make([]*v1beta1.Device, s.Count)
	for number := range devices {
		devices[number] = &v1beta1.Device{ID: fmt.Sprintf("gpu-%d", number), Health: v1beta1.Healthy}
	}
	if err := stream.Send(&v1beta1.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (s *server) Allocate(_ context.Context, request *v1beta1.AllocateRequest) (*v1beta1.AllocateResponse, error) {
	response := &v1beta1.AllocateResponse{}
	for _, asked := range request.ContainerRequests {
		environment := map[string]string{visible: strings.Join(asked.DevicesIds, ",")}
		for name, value := range s.Environment {
			environment[name] = value
		}
		response.ContainerResponses = append(response.ContainerResponses,
			&v1beta1.ContainerAllocateResponse{Envs: environment, Mounts: s.Mounts})
	}
	return response, nil
}

func (s *server) register() error {
	connection, err := grpc.NewClient("unix://"+v1beta1.KubeletSocket,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = v1beta1.NewRegistrationClient(connection).Register(limited, &v1beta1.RegisterRequest{
		Version:      v1beta1.Version,
		Endpoint:     socketName,
		ResourceName: s.Resource,
		Options:      &v1beta1.DevicePluginOptions{},
	})
	return err
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	made := &server{}
	if err := json.Unmarshal(text, &made.configuration); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(v1beta1.DevicePluginPath, socketName))
	if err != nil {
		log.Fatal(err)
	}
	plugins := grpc.NewServer()
	v1beta1.RegisterDevicePluginServer(plugins, made)
	go func() { log.Fatal(plugins.Serve(listener)) }()
	for {
		if err = made.register(); err == nil {
			break
		}
		log.Print(err)
		time.Sleep(200 * time.Millisecond)
	}
	select {}
}
