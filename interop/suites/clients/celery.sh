# Celery (Python): scenarios of our own in celery/, since its integration tests need Redis.

python_with celery
export python

celery_tests() {
    cd "$suites/celery"
    export PYTHONDONTWRITEBYTECODE=1
    mkdir "$RESULTS/files"
    celery_pytest test_worker rpc://
    celery_pytest test_chord "file://$RESULTS/files"
}

celery_pytest() {
    RESULT_BACKEND=$2 "$python" -m pytest -p no:cacheprovider -q --timeout 60 --junit-xml="$RESULTS/$1.xml" "$1.py" || true
}
export -f celery_tests celery_pytest

suite celery-5.7.0 180 bash -ec celery_tests
