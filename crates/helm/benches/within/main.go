// Within renders a chart again and again in one process with helm's own engine. Each round composes the values and renders;
// nothing is sorted or read afterwards. Who runs it subtracts the time of fewer rounds, so that loading does not count.
//
//	within CHART ROUNDS
package main

import (
	"fmt"
	"os"
	"strconv"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: within CHART ROUNDS"))
	}
	rounds, err := strconv.Atoi(os.Args[2])
	fail(err)
	chart, err := loader.Load(os.Args[1])
	fail(err)
	none := map[string]any{}
	fail(chartutil.ProcessDependencies(chart, none))
	options := common.ReleaseOptions{Name: "rel", Namespace: "default", Revision: 1, IsInstall: true}
	bytes := 0
	for range rounds {
		values, err := util.ToRenderValues(chart, none, options, common.DefaultCapabilities)
		fail(err)
		files, err := engine.Render(chart, values)
		fail(err)
		bytes = 0
		for _, text := range files {
			bytes += len(text)
		}
	}
	fmt.Println(bytes, "bytes")
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
