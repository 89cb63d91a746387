package main

import (
	"encoding/json"
	"os"

	"github.com/go-logfmt/logfmt"
)

func main() {
	lines := logfmt.NewDecoder(os.Stdin)
	objects := json.NewEncoder(os.Stdout)
	for lines.ScanRecord() {
		object := map[string]string{}
		for lines.ScanKeyval() {
			object[string(lines.Key())] = string(lines.Value())
		}
		objects.Encode(object)
	}
	if lines.Err() != nil {
		panic(lines.Err())
	}
}
