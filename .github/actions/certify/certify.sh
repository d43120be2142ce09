# The action's work: TARGET, PROFILE, REQUIRE and REPORTS are its inputs. Ends with the status of `sdtps certify`.
set -uo pipefail
mkdir -p "$REPORTS"
rm -f "$REPORTS"/certificate.*
status=0
OMP_NUM_THREADS=1 sdtps certify "$TARGET" --profile "$PROFILE" ${REQUIRE:+--require "$REQUIRE"} --format github \
  --json "$REPORTS/certificate.json" --sarif "$REPORTS/certificate.sarif" --html "$REPORTS/certificate.html" \
  --markdown "$REPORTS/certificate.md" || status=$?

# Where the target could not be judged at all there is no certificate.
if [ -f "$REPORTS/certificate.md" ]; then
  cat "$REPORTS/certificate.md" >> "$GITHUB_STEP_SUMMARY"
  rm "$REPORTS/certificate.md"
  echo "sarif=$REPORTS/certificate.sarif" >> "$GITHUB_OUTPUT"
fi
case $status in 0) verdict=certified ;; 1) verdict=refused ;; *) verdict=error ;; esac
echo "verdict=$verdict" >> "$GITHUB_OUTPUT"
exit $status
