// The peer in Go: os/exec as a Go program uses it. Reads a task a line from stdin, a JSON object, and answers a line each,
// tasks at the same time as it is asked. At the end of stdin it ends what `live` has started.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type task struct {
	ID      int        `json:"id"`
	Task    string     `json:"task"`
	Count   int        `json:"count"`
	AtOnce  int        `json:"atOnce"`
	Size    int        `json:"size"`
	Words   []string   `json:"words"`
	Stages  [][]string `json:"stages"`
	Script  string     `json:"script"`
	Env     []string   `json:"env"`
	Timeout int        `json:"timeout"`
	Best    bool       `json:"best"`
}

type answer struct {
	ID      int     `json:"id"`
	Problem string  `json:"problem,omitempty"`
	Value   float64 `json:"value"`
	Text    string  `json:"text"`
}

var (
	held   [][]byte
	living []*exec.Cmd
	begun  *exec.Cmd
	rest   io.ReadCloser
)

func capture() error {
	var stdout, stderr bytes.Buffer
	command := exec.Command("echo", "hi")
	command.Stdout = &stdout
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return err
	}
	if stdout.String() != "hi\n" {
		return fmt.Errorf("echo hi printed %q", stdout.String())
	}
	return nil
}

func captures(count, atOnce int) error {
	turns := make(chan struct{}, count)
	for i := 0; i < count; i++ {
		turns <- struct{}{}
	}
	close(turns)
	problems := make(chan error, atOnce)
	var all sync.WaitGroup
	for i := 0; i < atOnce; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for range turns {
				if err := capture(); err != nil {
					problems <- err
					return
				}
			}
		}()
	}
	all.Wait()
	close(problems)
	return <-problems
}

func read(words []string) (float64, error) {
	command := exec.Command(words[0], words[1:]...)
	stdout, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	buffer := make([]byte, 65536)
	length := 0
	for {
		got, err := stdout.Read(buffer)
		length += got
		if err != nil {
			break
		}
	}
	return float64(length), command.Wait()
}

func write(words []string, size, count int) (string, error) {
	var stdout bytes.Buffer
	command := exec.Command(words[0], words[1:]...)
	command.Stdout = &stdout
	stdin, err := command.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	piece := make([]byte, size)
	for i := 0; i < count; i++ {
		if _, err := stdin.Write(piece); err != nil {
			return "", err
		}
	}
	if err := stdin.Close(); err != nil {
		return "", err
	}
	err = command.Wait()
	return stdout.String(), err
}

// The pipes between the stages are the kernel's: StdoutPipe is a file.
func pipeline(stages [][]string) (string, error) {
	var stdout bytes.Buffer
	var commands []*exec.Cmd
	var previous io.ReadCloser
	for i, words := range stages {
		command := exec.Command(words[0], words[1:]...)
		if previous != nil {
			command.Stdin = previous
		}
		if i == len(stages)-1 {
			command.Stdout = &stdout
		} else {
			pipe, err := command.StdoutPipe()
			if err != nil {
				return "", err
			}
			previous = pipe
		}
		if err := command.Start(); err != nil {
			return "", err
		}
		// Else the stage before never gets SIGPIPE, and its reader never an end.
		if file, ok := command.Stdin.(*os.File); ok {
			file.Close()
		}
		commands = append(commands, command)
	}
	var problem error
	for i := len(commands) - 1; i >= 0; i-- {
		if err := commands[i].Wait(); err != nil {
			problem = err
		}
	}
	return stdout.String(), problem
}

// By hand: a group of its own and one signal to it. Its first output tells that it runs.
func begin(script string) (float64, error) {
	command := exec.Command("sh", "-c", script)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	if _, err := stdout.Read(make([]byte, 4096)); err != nil {
		return 0, err
	}
	begun, rest = command, stdout
	return float64(command.Process.Pid), nil
}

func interrupt() (float64, error) {
	from := time.Now()
	if err := syscall.Kill(-begun.Process.Pid, syscall.SIGTERM); err != nil {
		return 0, err
	}
	io.Copy(io.Discard, rest)
	begun.Wait()
	return float64(time.Since(from).Nanoseconds()) / 1e6, nil
}

// With nothing but a context; or with all that a Cmd has: a group of its own, killed by Cancel, WaitDelay for its pipes, and
// a signal at the death of its parent. Before Go 1.20 a Cmd has neither Cancel nor WaitDelay.
func survive(t task) error {
	limited, cancel := context.WithTimeout(context.Background(), time.Duration(t.Timeout)*time.Millisecond)
	defer cancel()
	command := exec.CommandContext(limited, "sh", "-c", t.Script)
	command.Env = append(os.Environ(), t.Env...)
	if t.Best {
		// The signal is sent at the death of the thread that forked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		fields := reflect.ValueOf(command).Elem()
		if wait := fields.FieldByName("WaitDelay"); wait.IsValid() {
			wait.Set(reflect.ValueOf(500 * time.Millisecond))
			fields.FieldByName("Cancel").Set(reflect.ValueOf(func() error {
				return syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			}))
		}
	}
	_, err := command.CombinedOutput()
	return err
}

func live(words []string, count int) error {
	for i := 0; i < count; i++ {
		command := exec.Command(words[0], words[1:]...)
		for _, open := range []func() (io.ReadCloser, error){command.StdoutPipe, command.StderrPipe} {
			pipe, err := open()
			if err != nil {
				return err
			}
			go io.Copy(io.Discard, pipe)
		}
		if err := command.Start(); err != nil {
			return err
		}
		living = append(living, command)
	}
	return nil
}

func hold(mebibytes int) {
	for left := mebibytes; left > 0; left -= 64 {
		piece := make([]byte, 64<<20)
		for i := range piece {
			piece[i] = 1
		}
		held = append(held, piece)
	}
}

func do(t task) (result answer) {
	var err error
	result.ID = t.ID
	switch t.Task {
	case "hold":
		hold(t.Count)
	case "captures":
		err = captures(t.Count, t.AtOnce)
	case "read":
		result.Value, err = read(t.Words)
	case "write":
		result.Text, err = write(t.Words, t.Size, t.Count)
	case "pipeline":
		result.Text, err = pipeline(t.Stages)
	case "begin":
		result.Value, err = begin(t.Script)
	case "interrupt":
		result.Value, err = interrupt()
	case "survive":
		// That it fails is no problem of ours: it is done.
		_ = survive(t)
	case "live":
		err = live(t.Words, t.Count)
	default:
		err = fmt.Errorf("no such task: %s", t.Task)
	}
	if err != nil {
		result.Problem = err.Error()
	}
	return result
}

func main() {
	var printing sync.Mutex
	output := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var t task
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			fmt.Fprintln(os.Stderr, "os_exec:", err)
			os.Exit(2)
		}
		go func() {
			result := do(t)
			printing.Lock()
			defer printing.Unlock()
			_ = output.Encode(result)
		}()
	}
	for _, command := range living {
		_ = command.Process.Kill()
	}
	for _, command := range living {
		_ = command.Wait()
	}
}
